"""Optimizers: what a case says of the one that moves its weights.

A dataclass an optimizer, with the hyperparameters that a case may choose; all others stand where
both frameworks have them by default. The update rules are the oracle's (oracle/optimizers/), the
constructors a backend's (backends/*/optimizers.py). Which optimizer a backend has, and which of
these hyperparameters it can express, its contract says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from invariants.document import Document
from invariants.oracle.contract import CONTRACTS, Contract

Positive = Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, le=1e6, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class SGD(Document):
    """Stochastic gradient descent; Nesterov's momentum after Sutskever et al. 2013."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: Positive = 0.125
    momentum: Decay = 0.0
    weight_decay: NotNegative = 0.0
    dampening: Decay = 0.0
    nesterov: bool = False


@dataclass(frozen=True, kw_only=True)
class Adam(Document):
    """Adam (Kingma & Ba 2015, arXiv 1412.6980); amsgrad: Reddi et al. 2018, arXiv 1904.09237."""

    kind: Literal["adam"] = "adam"
    learning_rate: Positive = 0.0625
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0
    amsgrad: bool = False


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

    kind: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: NotNegative = 0.0625


@dataclass(frozen=True, kw_only=True)
class NAdam(Document):
    """Adam with Nesterov's momentum (Dozat 2016); momentum_decay is ψ of 0.96^(tψ)."""

    kind: Literal["nadam"] = "nadam"
    learning_rate: Positive = 0.0625
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0
    momentum_decay: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class RAdam(Document):
    """Rectified Adam (Liu et al. 2020, arXiv 1908.03265)."""

    kind: Literal["radam"] = "radam"
    learning_rate: Positive = 0.0625
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Adamax(Document):
    """Adam by the infinity norm (arXiv 1412.6980, Section 7.1)."""

    kind: Literal["adamax"] = "adamax"
    learning_rate: Positive = 0.0625
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Adagrad(Document):
    """Adagrad (Duchi et al. 2011)."""

    kind: Literal["adagrad"] = "adagrad"
    learning_rate: Positive = 0.0625
    initial_accumulator: NotNegative = 0.125
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0
    rate_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Adadelta(Document):
    """Adadelta (Zeiler 2012, arXiv 1212.5701)."""

    kind: Literal["adadelta"] = "adadelta"
    learning_rate: Positive = 1.0
    rho: Decay = 0.9
    epsilon: Positive = 1e-3
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class RMSprop(Document):
    """RMSprop (Hinton 2012); centered: Graves 2013, arXiv 1308.0850."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: Positive = 0.0625
    rho: Decay = 0.9
    momentum: Decay = 0.0
    epsilon: Positive = 1e-7
    centered: bool = False
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Rprop(Document):
    """Resilient backpropagation (Riedmiller & Braun 1993); the rate is the first step's size."""

    kind: Literal["rprop"] = "rprop"
    learning_rate: Positive = 0.0625
    shrink: Decay = 0.5
    grow: Annotated[float, Field(gt=1.0, le=1e6, allow_inf_nan=False)] = 1.25
    smallest: Positive = 1e-6
    largest: Positive = 50.0


@dataclass(frozen=True, kw_only=True)
class ASGD(Document):
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

    kind: Literal["asgd"] = "asgd"
    learning_rate: Positive = 0.0625
    shrinkage: NotNegative = 1e-4
    power: Positive = 0.75
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Adafactor(Document):
    """Adafactor (Shazeer & Stern 2018, arXiv 1804.04235).

    floor and least_scale are the paper's ε₁ and ε₂.
    """

    kind: Literal["adafactor"] = "adafactor"
    learning_rate: Positive = 0.0625
    decay_power: Annotated[float, Field(ge=-1e6, le=0.0, allow_inf_nan=False)] = -0.8
    floor: Positive = 1e-7
    least_scale: Positive = 1e-3
    threshold: Annotated[float, Field(ge=1.0, le=1e6, allow_inf_nan=False)] = 1.0
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Lion(Document):
    """Lion (Chen et al. 2023, arXiv 2302.06675)."""

    kind: Literal["lion"] = "lion"
    learning_rate: Positive = 0.0078125
    beta_1: Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)] = 0.9
    beta_2: Decay = 0.99
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Ftrl(Document):
    """Follow the regularized leader, proximal (McMahan et al. 2013)."""

    kind: Literal["ftrl"] = "ftrl"
    learning_rate: Positive = 0.0625
    initial_accumulator: Positive = 0.125
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    shrinkage: NotNegative = 0.0
    beta: NotNegative = 0.0
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Lamb(Document):
    """Layer-wise adaptive moments (You et al. 2020, arXiv 1904.00962)."""

    kind: Literal["lamb"] = "lamb"
    learning_rate: Positive = 0.0625
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class ScheduleFreeAdamW(Document):
    """Schedule-free AdamW (Defazio et al. 2024, arXiv 2405.15682)."""

    kind: Literal["schedule_free_adamw"] = "schedule_free_adamw"
    learning_rate: Positive = 0.0625
    beta_1: Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)] = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    warmup_steps: Annotated[int, Field(ge=0, le=1000)] = 0
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Muon(Document):
    """Momentum made orthogonal (Jordan et al. 2024); what is no matrix goes by AdamW.

    beta_1, beta_2 and epsilon are AdamW's; it has the same learning rate and weight decay. floor
    stands beside the norm that the momentum is divided by.
    """

    kind: Literal["muon"] = "muon"
    learning_rate: Positive = 0.0625
    momentum: Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)] = 0.95
    nesterov: bool = True
    newton_steps: Annotated[int, Field(ge=1, le=10)] = 5
    floor: Positive = 1e-7
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class LBFGS(Document):
    """Limited-memory BFGS (Liu & Nocedal 1989), without a line search.

    A step makes so many iterations at most, and evaluates the loss so often: before each of them.
    Without a limit of their own, evaluations are a quarter more than iterations, rounded down.
    """

    kind: Literal["lbfgs"] = "lbfgs"
    learning_rate: Positive = 0.125
    history: Annotated[int, Field(ge=1, le=100)] = 10
    iterations: Annotated[int, Field(ge=1, le=20)] = 1
    evaluations: Annotated[int, Field(ge=2, le=25)] | None = None


Optimizer = Annotated[
    SGD
    | Adam
    | AdamW
    | NAdam
    | RAdam
    | Adamax
    | Adagrad
    | Adadelta
    | RMSprop
    | Rprop
    | ASGD
    | Adafactor
    | Lion
    | Ftrl
    | Lamb
    | ScheduleFreeAdamW
    | Muon
    | LBFGS,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True)
class Clip(Document):
    """Gradients no larger than `limit`: each element, each weight's norm, or the norm of all."""

    kind: Literal["value", "norm", "global_norm"] = "value"
    limit: Positive = 0.5


def settings(optimizer: Any) -> dict[str, Any]:
    """The hyperparameters of an optimizer that are not at their defaults."""
    values = {item: getattr(optimizer, item.name) for item in fields(optimizer)}
    return {item.name: value for item, value in values.items() if value != item.default}


def loops(kind: str, contract: Contract, values: Sequence[str]) -> list[str]:
    """Those of the implementations `values` that the backend has of an optimizer."""
    some = dict(contract["optimizer_loops"])
    return [value for value in values if kind in some.get(value, (kind,))]


def not_expressed(optimizer: Any, contract: Contract) -> str:
    """Why a backend has no such optimizer; "" where it has one."""
    kind = optimizer.kind
    if kind not in contract["optimizers"]:
        return f"{contract.backend} has no {kind}"
    some = frozenset[str]().union(*(c["optimizer_settings"] for c in CONTRACTS.values()))
    for name, value in settings(optimizer).items():
        setting = f"{kind}.{name}"
        if setting in some and setting not in contract["optimizer_settings"]:
            return f"{contract.backend} cannot express {name} {value} of {kind}"
    return ""


def refused(optimizer: Any, contract: Contract, options: Mapping[str, str], groups: bool) -> str:
    """Why a backend cannot run an optimizer so, with options and groups; "" where it can."""
    kind = optimizer.kind
    by_nesterov = kind == "sgd" and optimizer.nesterov
    if by_nesterov and (not optimizer.momentum or optimizer.dampening):
        return "Nesterov's momentum needs momentum, and no dampening"
    loop = options.get("optimizer_loop", "")
    if not loops(kind, contract, [loop]):
        return f"{contract.backend} has no {loop} implementation of {kind}"
    if groups and kind in contract["ungrouped_optimizers"]:
        return f"{contract.backend} has no groups of parameters for {kind}"
    return ""
