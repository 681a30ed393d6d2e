"""The schedules of a torch script: one row each, with the names of torch.optim.lr_scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.backends.source import arguments
from invariants.case import Case
from invariants.schedule import form

#: form of a schedule -> the scheduler of an optimizer: constructor and arguments as source, from
#: the schedule and the learning rate of the optimizer.
Row = tuple[str, Callable[[Any, float], str]]


def _progress(s: Any) -> str:
    """How far a schedule has come after n steps."""
    division = "//" if s.stairs else "/"
    return "n" if s.steps == 1 else f"n {division} {s.steps}"


def _decaying(s: Any, rate: float) -> str:
    return f"lambda n: {s.decay!r} ** ({_progress(s)})"


def _cosine(s: Any, rate: float) -> str:
    return arguments(T_max=s.steps, eta_min=s.least * rate)


ROWS: dict[str, Row] = {
    "stairs": ("StepLR", lambda s, rate: arguments(step_size=s.steps, gamma=s.decay)),
    "exponential": ("LambdaLR", _decaying),
    "multi_step": (
        "MultiStepLR",
        lambda s, rate: arguments(milestones=list(s.milestones), gamma=s.decay),
    ),
    "linear": (
        "LinearLR",
        lambda s, rate: arguments(start_factor=s.first, end_factor=s.last, total_iters=s.steps),
    ),
    "polynomial": ("PolynomialLR", lambda s, rate: arguments(total_iters=s.steps, power=s.power)),
    "cosine": ("CosineAnnealingLR", _cosine),
    "inverse_time": (
        "LambdaLR",
        lambda s, rate: f"lambda n: 1 / (1 + {s.decay!r} * ({_progress(s)}))",
    ),
}


def made(case: Case) -> list[str]:
    """The lines that make the scheduler of a new optimizer; those of each, where it is several."""
    if case.schedule is None:
        return []
    constructor, given = ROWS[form(case.schedule)]
    rest = given(case.schedule, case.optimizer.learning_rate)
    scheduler = f"torch.optim.lr_scheduler.{constructor}({{}}, {rest})"
    if case.optimizer.kind == "muon":
        return [f"schedulers = [{scheduler.format('each')} for each in optimizer.optimizers]"]
    return [f"scheduler = {scheduler.format('optimizer')}"]


def stepped(case: Case) -> list[str]:
    """The lines that follow a step of the optimizer."""
    if case.schedule is None:
        return []
    if case.optimizer.kind == "muon":
        return ["for scheduler in schedulers:", "    scheduler.step()"]
    return ["scheduler.step()"]


def saved(case: Case) -> list[str]:
    """The entry of a checkpoint."""
    if case.schedule is None:
        return []
    if case.optimizer.kind == "muon":
        return ['"schedulers": [each.state_dict() for each in schedulers]']
    return ['"scheduler": scheduler.state_dict()']


def loaded(case: Case) -> list[str]:
    """The lines that load it into another scheduler."""
    if case.schedule is None:
        return []
    if case.optimizer.kind == "muon":
        return [
            'for scheduler, state in zip(schedulers, saved["schedulers"]):',
            "    scheduler.load_state_dict(state)",
        ]
    return ['scheduler.load_state_dict(saved["scheduler"])']
