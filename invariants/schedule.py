"""Schedules: how the learning rate of a case changes from step to step.

A dataclass a schedule, in terms that both frameworks can express. Its formula is the oracle's
(oracle/schedules.py), its constructors a backend's (backends/*/schedules.py); what counts as a
step, and what holds once it has come to its end, the contract says.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from invariants.document import Document
from invariants.oracle.contract import Contract
from invariants.program import SetRate

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0.0, le=1e3, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1, le=10_000)]


def _increasing(milestones: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= earlier for earlier, later in itertools.pairwise(milestones)):
        raise ValueError(f"{list(milestones)} do not increase")
    return milestones


@dataclass(frozen=True, kw_only=True)
class Exponential(Document):
    """The rate times decay^(n / steps); in stairs, n / steps being rounded down."""

    kind: Literal["exponential"] = "exponential"
    decay: Annotated[float, Field(gt=0.0, le=1e3, allow_inf_nan=False)] = 0.5
    steps: Steps = 1
    stairs: bool = False


@dataclass(frozen=True, kw_only=True)
class MultiStep(Document):
    """The rate times decay^k, k the number of milestones up to n."""

    kind: Literal["multi_step"] = "multi_step"
    milestones: Annotated[
        tuple[Steps, ...], Field(min_length=1, max_length=8), AfterValidator(_increasing)
    ] = (1,)
    decay: Factor = 0.5


@dataclass(frozen=True, kw_only=True)
class Linear(Document):
    """From `first` times the rate to `last` times the rate, in `steps` equal steps."""

    kind: Literal["linear"] = "linear"
    first: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)] = 1.0
    last: Share = 0.0
    steps: Steps = 4


@dataclass(frozen=True, kw_only=True)
class Polynomial(Document):
    """The rate times (1 - n / steps)^power, down to 0."""

    kind: Literal["polynomial"] = "polynomial"
    power: Annotated[float, Field(gt=0.0, le=8.0, allow_inf_nan=False)] = 2.0
    steps: Steps = 4


@dataclass(frozen=True, kw_only=True)
class Cosine(Document):
    """Half a wave of a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983).

    least: what it falls to, in learning rates of the optimizer; the same for all groups.
    """

    kind: Literal["cosine"] = "cosine"
    least: Share = 0.0
    steps: Steps = 4


@dataclass(frozen=True, kw_only=True)
class InverseTime(Document):
    """The rate divided by 1 + decay · n / steps; in stairs, n / steps being rounded down."""

    kind: Literal["inverse_time"] = "inverse_time"
    decay: Factor = 0.5
    steps: Steps = 1
    stairs: bool = False


Schedule = Annotated[
    Exponential | MultiStep | Linear | Polynomial | Cosine | InverseTime,
    Field(discriminator="kind"),
]


def form(schedule: Any) -> str:
    """What the contract calls the form of a schedule: its kind, or its kind in stairs."""
    in_stairs = schedule.kind == "exponential" and (schedule.stairs or schedule.steps == 1)
    return "stairs" if in_stairs else str(schedule.kind)


def unsettled(schedule: Any, program: Sequence[Any], contract: Contract) -> str:
    """Why no documentation says what a schedule does in a program; "" where one does."""
    if not any(isinstance(action, SetRate) for action in program):
        return ""
    if contract["rate_set_under_a_schedule"] or form(schedule) in contract["schedules_of_any_rate"]:
        return ""
    return f"no documentation says what {schedule.kind} makes of a rate that is set meanwhile"
