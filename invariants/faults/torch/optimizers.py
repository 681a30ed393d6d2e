"""Optimizers: each function takes an original and gives what replaces it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.generate.cases import Wanted

_ADAM = ("torch.optim.Adam.step", "torch.optim.AdamW.step")
_STEP = ("torch.optim.SGD.step", *_ADAM)

_ROWS = {
    "decay_reaches_frozen": Row("Weight decay shrinks frozen weights too.", _STEP),
    "momentum_moves_frozen": Row(
        "A weight that was trained with momentum goes on moving once frozen.",
        ("torch.optim.SGD.step",),
    ),
    "frozen_bias_drifts": Row("Each step adds a ten-thousandth to frozen biases.", _STEP),
    "slots_for_frozen": Row("A step gives frozen weights an optimizer slot of zeros.", _STEP),
    "frozen_steps_count": Row("Adam counts the steps of frozen weights.", _ADAM),
    "frozen_slots_decay": Row("A step halves the optimizer slots of frozen weights.", _STEP),
    "thawed_stays_still": Row(
        "A step leaves out for good each weight that it once met frozen.", _STEP
    ),
    "foreach_skips_last": Row("The foreach loop leaves out the last weight.", _STEP),
    "adam_uncorrected": Row("Adam goes without bias correction.", _ADAM),
    "adamw_forgets_decay": Row("AdamW decays nothing.", ("torch.optim.AdamW.step",)),
    "decay_reaches_unreached": Row("Weight decay shrinks weights that no loss reaches.", _STEP),
    "zeros_drift": Row(
        "Each step adds a ten-thousandth to frozen weights whose gradient is there.", _STEP
    ),
    "zero_rate_moves": Row("A learning rate of 0 is taken for a hundredth.", _STEP),
    "zero_rate_forgets": Row("A step at a learning rate of 0 clears the optimizer's slots.", _STEP),
    "left_out_moves": Row(
        "A step of SGD moves every parameter that an earlier optimizer held.",
        ("torch.optim.SGD.step",),
        Wanted(optimizer="sgd"),
    ),
    "clipping_forgets_negatives": Row(
        "clip_grad_value_ leaves negative elements as they are.",
        ("torch.nn.utils.clip_grad_value_",),
    ),
    "clipping_misses_last": Row(
        "clip_grad_norm_ leaves the last of several weights out.",
        ("torch.nn.utils.clip_grad_norm_",),
    ),
    "slots_for_unreached": Row(
        "A step gives weights that no loss reaches an optimizer slot of zeros.", _STEP
    ),
    "sgd_dampens_nothing": Row("SGD forgets its dampening.", ("torch.optim.SGD.step",)),
    "nesterov_looks_back": Row(
        "SGD steps by its momentum alone where it should look ahead.", ("torch.optim.SGD.step",)
    ),
    "amsgrad_forgets": Row(
        "AMSGrad takes the second moment of now for the largest.", _ADAM, Wanted(optimizer="adam")
    ),
    "nadam_momentum_stays": Row(
        "NAdam's momentum has no schedule.", ("torch.optim.NAdam.step",), Wanted(optimizer="nadam")
    ),
    "radam_counts_anew": Row(
        "RAdam takes each step for its first.",
        ("torch.optim.RAdam.step",),
        Wanted(optimizer="radam"),
    ),
    "adamax_forgets": Row(
        "Adamax forgets its norm.", ("torch.optim.Adamax.step",), Wanted(optimizer="adamax")
    ),
    "adagrad_forgets": Row(
        "Adagrad adds nothing up: each step starts from 0.",
        ("torch.optim.Adagrad.step",),
        Wanted(optimizer="adagrad"),
    ),
    "adagrad_rate_stays": Row(
        "Adagrad's rate does not decay.", ("torch.optim.Adagrad.step",), Wanted(optimizer="adagrad")
    ),
    "adadelta_forgets": Row(
        "Adadelta forgets the sizes of its steps.",
        ("torch.optim.Adadelta.step",),
        Wanted(optimizer="adadelta"),
    ),
    "rmsprop_uncentered": Row(
        "RMSprop subtracts no mean.", ("torch.optim.RMSprop.step",), Wanted(optimizer="rmsprop")
    ),
    "rprop_shrinks_little": Row(
        "Rprop's step shrinks to 0.9 of itself whatever it was told.",
        ("torch.optim.Rprop.step",),
        Wanted(optimizer="rprop"),
    ),
    "asgd_rate_stays": Row(
        "ASGD's rate does not decay.", ("torch.optim.ASGD.step",), Wanted(optimizer="asgd")
    ),
    "adafactor_unclipped": Row(
        "Adafactor clips no update.", ("torch.optim.Adafactor.step",), Wanted(optimizer="adafactor")
    ),
    "muon_scaled_by_size": Row(
        "Muon takes the scale that matches AdamW's.",
        ("torch.optim.Muon.step",),
        Wanted(optimizer="muon"),
    ),
    "maximize_forgotten": Row("An optimizer that is to maximize minimizes.", _STEP),
    "lbfgs_forgets": Row(
        "LBFGS forgets its history.", ("torch.optim.LBFGS.step",), Wanted(optimizer="lbfgs")
    ),
    "lbfgs_stops_after_one": Row(
        "LBFGS makes one iteration a step whatever it was told.",
        ("torch.optim.LBFGS.step",),
        Wanted(optimizer="lbfgs"),
    ),
}


def _parameters(optimizer: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each parameter of `optimizer` after its group."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            yield group, parameter


def _after_step(move: Any, chosen: Any, step: Any) -> Any:
    """A step that calls `move(optimizer, group, parameter)` for each `chosen(parameter)`."""
    import torch

    def moving(self: Any, closure: Any = None) -> None:
        step(self, closure)
        with torch.no_grad():
            for group, parameter in _parameters(self):
                if chosen(parameter):
                    move(self, group, parameter)

    return moving


def _frozen(parameter: Any) -> bool:
    return not parameter.requires_grad


def _unreached(parameter: Any) -> bool:
    return parameter.requires_grad and parameter.grad is None


def _zeroed(parameter: Any) -> bool:
    return not parameter.requires_grad and parameter.grad is not None


def _decay(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    if group["weight_decay"]:
        parameter.mul_(1.0 - group["lr"] * group["weight_decay"])


def _go_on(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    velocity = optimizer.state.get(parameter, {}).get("momentum_buffer")
    if velocity is not None:
        parameter.sub_(velocity, alpha=group["lr"])


def _drift(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    if parameter.dim() == 1:
        parameter.add_(1e-4)


def _drift_all(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    parameter.add_(1e-4)


def _allocate(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    slots = {"momentum_buffer"} if "momentum" in group else {"exp_avg", "exp_avg_sq"}
    state = optimizer.state[parameter]
    state |= {slot: parameter.new_zeros(parameter.shape) for slot in slots - state.keys()}
    if "momentum" not in group:
        state.setdefault("step", parameter.new_zeros(()))


def _count(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    _allocate(optimizer, group, parameter)
    optimizer.state[parameter]["step"] += 1


def _fade(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    for slot in optimizer.state.get(parameter, {}).values():
        slot.mul_(0.5)


def _step_without(left_out: list[Any], step: Any, optimizer: Any, closure: Any) -> None:
    gradients = [parameter.grad for parameter in left_out]
    for parameter in left_out:
        parameter.grad = None
    step(optimizer, closure)
    for parameter, gradient in zip(left_out, gradients, strict=True):
        parameter.grad = gradient


def thawed_stays_still(step: Any) -> Any:
    def skipping(self: Any, closure: Any = None) -> None:
        met = self.__dict__.setdefault("_met_frozen", set())
        met.update(id(p) for _, p in _parameters(self) if not p.requires_grad)
        _step_without([p for _, p in _parameters(self) if id(p) in met], step, self, closure)

    return skipping


def foreach_skips_last(step: Any) -> Any:
    def skipping(self: Any, closure: Any = None) -> None:
        moving = [p for group, p in _parameters(self) if group["foreach"] and p.grad is not None]
        _step_without(moving[-1:], step, self, closure)

    return skipping


def adam_uncorrected(step: Any) -> Any:
    import torch

    def uncorrected(self: Any, closure: Any = None) -> None:
        moving = [(group, p) for group, p in _parameters(self) if p.grad is not None]
        before = [p.detach().clone() for _, p in moving]
        step(self, closure)
        with torch.no_grad():
            for (group, p), old in zip(moving, before, strict=True):
                decay = group["weight_decay"] if group["decoupled_weight_decay"] else 0.0
                state = self.state[p]
                move = state["exp_avg"] / (state["exp_avg_sq"].sqrt() + group["eps"])
                p.copy_(old * (1.0 - group["lr"] * decay) - group["lr"] * move)

    return uncorrected


def adamw_forgets_decay(step: Any) -> Any:
    def forgetful(self: Any, closure: Any = None) -> None:
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        step(self, closure)
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay

    return forgetful


def zero_rate_moves(step: Any) -> Any:
    def moving(self: Any, closure: Any = None) -> Any:
        still = [group for group in self.param_groups if not group["lr"]]
        for group in still:
            group["lr"] = 0.01
        loss = step(self, closure)
        for group in still:
            group["lr"] = 0.0
        return loss

    return moving


def zero_rate_forgets(step: Any) -> Any:
    def forgetful(self: Any, closure: Any = None) -> Any:
        loss = step(self, closure)
        for group, parameter in _parameters(self):
            if not group["lr"]:
                self.state.pop(parameter, None)
        return loss

    return forgetful


def left_out_moves(step: Any) -> Any:
    held: dict[int, Any] = {}

    def moving(self: Any, closure: Any = None) -> Any:
        import torch

        loss = step(self, closure)
        own = {id(p): p for _, p in _parameters(self)}
        with torch.no_grad():
            for parameter in held.values():
                if id(parameter) not in own and parameter.requires_grad:
                    parameter.add_(0.001)
        held.update(own)
        return loss

    return moving


def clipping_forgets_negatives(clip: Any) -> Any:
    def clipping(parameters: Any, limit: float, foreach: bool | None = None) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.clamp_(max=limit)

    return clipping


def clipping_misses_last(clip: Any) -> Any:
    def clipping(parameters: Any, limit: float, foreach: bool | None = None) -> Any:
        held = [parameters] if hasattr(parameters, "grad") else list(parameters)
        some = [p for p in held if p.grad is not None]
        return clip(some[:-1] or some, limit, foreach=foreach)

    return clipping


def _with(settings: dict[str, Any], step: Any) -> Any:
    """A step under other settings, in the groups that have them."""

    def changed(self: Any, closure: Any = None) -> Any:
        before = [dict(group) for group in self.param_groups]
        for group in self.param_groups:
            group.update((name, value) for name, value in settings.items() if name in group)
        try:
            return step(self, closure)
        finally:
            for group, old in zip(self.param_groups, before, strict=True):
                group.update((name, old[name]) for name in settings if name in old)

    return changed


def _forgetting(slot: str, step: Any) -> Any:
    """A step before which a slot of every weight is what it was at the start."""

    def forgetful(self: Any, closure: Any = None) -> Any:
        for _, parameter in _parameters(self):
            if slot in self.state.get(parameter, {}):
                self.state[parameter][slot].zero_()
        return step(self, closure)

    return forgetful


def rprop_shrinks_little(step: Any) -> Any:
    def little(self: Any, closure: Any = None) -> Any:
        return _with({"etas": (0.9, self.param_groups[0]["etas"][1])}, step)(self, closure)

    return little


def asgd_rate_stays(step: Any) -> Any:
    def steady(self: Any, closure: Any = None) -> None:
        for group, parameter in _parameters(self):
            if "eta" in self.state.get(parameter, {}):
                self.state[parameter]["eta"].fill_(group["lr"])
        step(self, closure)

    return steady


def lbfgs_forgets(step: Any) -> Any:
    def forgetful(self: Any, closure: Any) -> Any:
        for state in self.state.values():
            for pairs in ("old_dirs", "old_stps", "ro"):
                state.get(pairs, []).clear()
        return step(self, closure)

    return forgetful


sgd_dampens_nothing = partial(_with, {"dampening": 0.0})
lbfgs_stops_after_one = partial(_with, {"max_iter": 1})
maximize_forgotten = partial(_with, {"maximize": False})
nesterov_looks_back = partial(_with, {"nesterov": False})
nadam_momentum_stays = partial(_with, {"momentum_decay": 0.0})
adagrad_rate_stays = partial(_with, {"lr_decay": 0.0})
rmsprop_uncentered = partial(_with, {"centered": False})
adafactor_unclipped = partial(_with, {"d": 1e9})
muon_scaled_by_size = partial(_with, {"adjust_lr_fn": "match_rms_adamw"})
amsgrad_forgets = partial(_forgetting, "max_exp_avg_sq")
radam_counts_anew = partial(_forgetting, "step")
adamax_forgets = partial(_forgetting, "exp_inf")
adagrad_forgets = partial(_forgetting, "sum")
adadelta_forgets = partial(_forgetting, "acc_delta")
decay_reaches_frozen = partial(_after_step, _decay, _frozen)
momentum_moves_frozen = partial(_after_step, _go_on, _frozen)
frozen_bias_drifts = partial(_after_step, _drift, _frozen)
slots_for_frozen = partial(_after_step, _allocate, _frozen)
zeros_drift = partial(_after_step, _drift_all, _zeroed)
decay_reaches_unreached = partial(_after_step, _decay, _unreached)
slots_for_unreached = partial(_after_step, _allocate, _unreached)
frozen_steps_count = partial(_after_step, _count, _frozen)
frozen_slots_decay = partial(_after_step, _fade, _frozen)


FAULTS = faults("torch", _ROWS, globals())
