"""Schedules and averages: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.generate.cases import Wanted

_STEP = ("torch.optim.lr_scheduler.LRScheduler.step",)
_UPDATE = ("torch.optim.swa_utils.AveragedModel.update_parameters",)

_ROWS = {
    "schedule_stays": Row("A scheduler keeps the learning rate that it began with.", _STEP),
    "schedule_misses_groups": Row(
        "A scheduler changes the learning rate of the first parameter group alone.", _STEP
    ),
    "schedule_runs_ahead": Row("A scheduler counts its second step twice.", _STEP),
    "schedule_load_counts_anew": Row(
        "A scheduler that loads a state begins anew.",
        ("torch.optim.lr_scheduler.LRScheduler.load_state_dict",),
        Wanted(settings=("schedule",)),
    ),
    "average_load_forgets": Row(
        "An averaged model that loads a state has averaged nothing yet.",
        ("torch.optim.swa_utils.AveragedModel.load_state_dict",),
    ),
    "average_misses_frozen": Row(
        "The average of a frozen weight does not follow it any more.", _UPDATE
    ),
    "average_drifts": Row("Each update shrinks all averages by a part in 100,000.", _UPDATE),
    "average_moves_frozen": Row("Averaging a frozen weight overwrites it by its average.", _UPDATE),
    "average_forgets_states": Row("The averaged model keeps the buffers it began with.", _UPDATE),
}


def _begun(scheduler: Any) -> bool:
    """Whether a scheduler has made its initial step, which its constructor does."""
    return hasattr(scheduler, "_last_lr")


def schedule_stays(step: Any) -> Any:
    def staying(self: Any, *args: Any) -> None:
        if not _begun(self):
            step(self, *args)

    return staying


def schedule_load_counts_anew(load_state_dict: Any) -> Any:
    def anew(self: Any, state_dict: Any) -> None:
        begun = {"last_epoch": self.last_epoch, "_step_count": self._step_count}
        load_state_dict(self, {**state_dict, **begun})

    return anew


def average_load_forgets(load_state_dict: Any) -> Any:
    def forgetful(self: Any, state_dict: Any, *args: Any, **options: Any) -> Any:
        keys = load_state_dict(self, state_dict, *args, **options)
        self.n_averaged.zero_()
        return keys

    return forgetful


def schedule_misses_groups(step: Any) -> Any:
    def missing(self: Any, *args: Any) -> None:
        others = self.optimizer.param_groups[1:]
        kept = [group["lr"] for group in others]
        begun = _begun(self)
        step(self, *args)
        for group, rate in zip(others, kept, strict=True):
            group["lr"] = rate if begun else group["lr"]

    return missing


def schedule_runs_ahead(step: Any) -> Any:
    def running(self: Any, *args: Any) -> None:
        step(self, *args)
        if self.last_epoch == 2:
            step(self, *args)

    return running


def _pairs(averaged: Any, model: Any) -> Any:
    return zip(averaged.module.parameters(), model.parameters(), strict=True)


def average_misses_frozen(update: Any) -> Any:
    def missing(self: Any, model: Any) -> None:
        frozen = [(a, a.detach().clone()) for a, p in _pairs(self, model) if not p.requires_grad]
        update(self, model)
        for average, kept in frozen:
            average.data.copy_(kept)

    return missing


def average_drifts(update: Any) -> Any:
    def drifting(self: Any, model: Any) -> None:
        update(self, model)
        for average in self.module.parameters():
            average.data.mul_(1.0 - 1e-5)

    return drifting


def average_moves_frozen(update: Any) -> Any:
    def moving(self: Any, model: Any) -> None:
        update(self, model)
        for average, parameter in _pairs(self, model):
            if not parameter.requires_grad:
                parameter.data.copy_(average.data)

    return moving


def average_forgets_states(update: Any) -> Any:
    def forgetful(self: Any, model: Any) -> None:
        kept = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        update(self, model)
        for buffer, before in kept:
            buffer.copy_(before)

    return forgetful


FAULTS = faults("torch", _ROWS, globals())
