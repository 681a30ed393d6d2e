"""The optimizers of a torch script: one row each.

A row is the constructor in torch.optim and its arguments from the hyperparameters of the case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.backends.source import arguments, indented
from invariants.backends.torch import modes, schedules
from invariants.case import Case
from invariants.optimizer import loops
from invariants.oracle.contract import CONTRACTS

NAME = "torch"

Row = tuple[str, Callable[[Any], dict[str, Any]]]


def _adam(o: Any) -> dict[str, Any]:
    return {"betas": (o.beta_1, o.beta_2), "eps": o.epsilon, "weight_decay": o.weight_decay}


def _amsgrad(o: Any) -> dict[str, Any]:
    return {**_adam(o), "amsgrad": o.amsgrad}


def _lbfgs(o: Any) -> dict[str, Any]:
    limit = {} if o.evaluations is None else {"max_eval": o.evaluations}
    return {"max_iter": o.iterations, **limit, "history_size": o.history}


ROWS: dict[str, Row] = {
    "sgd": (
        "SGD",
        lambda o: {
            "momentum": o.momentum,
            "weight_decay": o.weight_decay,
            "dampening": o.dampening,
            "nesterov": o.nesterov,
        },
    ),
    "adam": ("Adam", _amsgrad),
    "adamw": ("AdamW", _amsgrad),
    "nadam": ("NAdam", lambda o: {**_adam(o), "momentum_decay": o.momentum_decay}),
    "radam": ("RAdam", _adam),
    "adamax": ("Adamax", _adam),
    "adagrad": (
        "Adagrad",
        lambda o: {
            "initial_accumulator_value": o.initial_accumulator,
            "eps": o.epsilon,
            "weight_decay": o.weight_decay,
            "lr_decay": o.rate_decay,
        },
    ),
    "adadelta": (
        "Adadelta",
        lambda o: {"rho": o.rho, "eps": o.epsilon, "weight_decay": o.weight_decay},
    ),
    "rmsprop": (
        "RMSprop",
        lambda o: {
            "alpha": o.rho,
            "eps": o.epsilon,
            "weight_decay": o.weight_decay,
            "momentum": o.momentum,
            "centered": o.centered,
        },
    ),
    "rprop": (
        "Rprop",
        lambda o: {"etas": (o.shrink, o.grow), "step_sizes": (o.smallest, o.largest)},
    ),
    "adafactor": (
        "Adafactor",
        lambda o: {
            "beta2_decay": o.decay_power,
            "eps": (o.floor, o.least_scale),
            "d": o.threshold,
            "weight_decay": o.weight_decay,
        },
    ),
    "muon": (
        "Muon",
        lambda o: {
            "weight_decay": o.weight_decay,
            "momentum": o.momentum,
            "nesterov": o.nesterov,
            "ns_steps": o.newton_steps,
            "eps": o.floor,
        },
    ),
    "lbfgs": ("LBFGS", _lbfgs),
    "asgd": (
        "ASGD",
        lambda o: {"lambd": o.shrinkage, "alpha": o.power, "weight_decay": o.weight_decay},
    ),
}


#: Two optimizers in the place of one: Muon takes matrices alone.
_MUON = """\
class MuonAndAdamW:
    def __init__(self, parameters, adamw, **muon):
        parameters = list(parameters)
        matrices = [p for p in parameters if p.ndim == 2]
        others = [p for p in parameters if p.ndim != 2]
        self.optimizers = [torch.optim.AdamW(others, **adamw)] if others else []
        if matrices or not others:
            self.optimizers.append(torch.optim.Muon(matrices, **muon))

    @property
    def param_groups(self):
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    @property
    def state(self):
        return {p: held for optimizer in self.optimizers for p, held in optimizer.state.items()}

    def zero_grad(self, **options):
        for optimizer in self.optimizers:
            optimizer.zero_grad(**options)

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self):
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states):
        for optimizer, state in zip(self.optimizers, states):
            optimizer.load_state_dict(state)
"""


def definitions(case: Case) -> list[str]:
    """The lines of what the optimizer needs defined."""
    return [*_MUON.splitlines(), "", ""] if case.optimizer.kind == "muon" else []


def step(case: Case, taken: list[str], learned: list[str], rebinds: bool) -> list[str]:
    """The lines of a step: those that take a batch, and those that leave its gradients.

    LBFGS is given a closure of them. rebinds: the latter take further batches, named alike.
    """
    if case.optimizer.kind != "lbfgs":
        return [*taken, *learned, *modes.stepped(case), *schedules.stepped(case)]
    before, inside = ([], [*taken, *learned]) if rebinds else (taken, learned)
    closure = ["def closure():", *indented([*inside, "return loss"])]
    return [*before, *closure, "loss = optimizer.step(closure)", *schedules.stepped(case)]


def made(case: Case, parameters: str) -> list[str]:
    """The lines that make the optimizer of `parameters`, and what it is scheduled by."""
    return [f"optimizer = {_made(case, parameters)}", *schedules.made(case)]


def _made(case: Case, parameters: str) -> str:
    o = case.optimizer
    constructor, rest = ROWS[o.kind]
    options = {"lr": o.learning_rate, **rest(o), **_loop(case)}
    if case.maximize:
        options["maximize"] = True
    if o.kind == "muon":
        adamw = arguments(lr=o.learning_rate, **_adam(o))
        return f"MuonAndAdamW({parameters}, dict({adamw}), {arguments(**options)})"
    return f"torch.optim.{constructor}({parameters}, {arguments(**options)})"


def _loop(case: Case) -> dict[str, bool]:
    """Which implementation is asked for, where there is a choice."""
    if case.options(NAME)["optimizer_loop"] == "fused":
        return {"fused": True}
    if not loops(case.optimizer.kind, CONTRACTS[NAME], ["foreach"]):
        return {}
    return {"foreach": case.options(NAME)["optimizer_loop"] == "foreach"}
