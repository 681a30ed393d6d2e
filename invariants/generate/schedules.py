"""Random schedules and averages, such that a few steps show them.

Schedules have come to their end after four steps at most. Values are drawn where every backend can
express them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from invariants.average import Average
from invariants.generate.choice import Drawn
from invariants.oracle.contract import CONTRACTS
from invariants.program import Action
from invariants.schedule import (
    Cosine,
    Exponential,
    InverseTime,
    Linear,
    MultiStep,
    Polynomial,
    Schedule,
    unsettled,
)


def _multi_step(choice: Drawn) -> MultiStep:
    milestones = choice.one_of(((1,), (2,), (1, 2), (1, 3)))
    return MultiStep(milestones=milestones, decay=choice.one_of((0.5, 0.1, 0.0, 2.0)))


def _linear(choice: Drawn) -> Linear:
    first, last = choice.one_of(((1.0, 0.0), (0.25, 1.0), (1.0, 0.1), (1 / 3, 1.0)))
    return Linear(first=first, last=last, steps=choice.integer(1, 4))


#: kind -> what draws one.
DRAWN: dict[str, Callable[[Drawn], Any]] = {
    "exponential": lambda choice: Exponential(
        decay=choice.one_of((0.5, 0.9, 2.0)), steps=choice.integer(1, 3), stairs=choice.boolean()
    ),
    "multi_step": _multi_step,
    "linear": _linear,
    "polynomial": lambda choice: Polynomial(
        power=choice.one_of((1.0, 2.0, 0.5)), steps=choice.integer(1, 4)
    ),
    "cosine": lambda choice: Cosine(
        least=choice.one_of((0.0, 0.25, 0.1)), steps=choice.integer(1, 4)
    ),
    "inverse_time": lambda choice: InverseTime(
        decay=choice.one_of((0.5, 1.0, 3.0)), steps=choice.integer(1, 3), stairs=choice.boolean()
    ),
}


def draw_schedule(choice: Drawn, program: Sequence[Action], backends: Sequence[str]) -> Schedule:
    """A schedule of which every backend says what it does in a program."""
    drawn: Schedule = DRAWN[choice.one_of(list(DRAWN))](choice)
    if any(unsettled(drawn, program, CONTRACTS[name]) for name in backends):
        return _multi_step(choice)
    return drawn


def draw_average(choice: Drawn, overwriting: bool = False) -> Average:
    """An average, half of which overwrite the weights where that can be, or all of them."""
    often = choice.offers("average_overwrites") and (overwriting or choice.boolean())
    return Average(
        kind=choice.one_of(choice.offered("averages")),
        decay=choice.one_of((0.5, 0.9, 0.99, 0.0, 1.0)),
        buffers=choice.one_of(choice.offered("average_of_states")),
        overwrite=choice.integer(1, 3) if often else 0,
    )
