"""The schedules of a Keras script: one row each, with the names of keras.optimizers.schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.backends.source import arguments
from invariants.case import Case

#: kind of a schedule -> constructor and its arguments from the schedule and the learning rate.
Row = tuple[str, Callable[[Any, float], dict[str, Any]]]


def _decaying(s: Any, rate: float) -> dict[str, Any]:
    return {
        "initial_learning_rate": rate,
        "decay_steps": s.steps,
        "decay_rate": s.decay,
        "staircase": s.stairs,
    }


def _multi_step(s: Any, rate: float) -> dict[str, Any]:
    # A value holds up to its boundary, included: the milestone is the step after it.
    boundaries = [milestone - 1 for milestone in s.milestones]
    values = [rate * s.decay**n for n in range(len(boundaries) + 1)]
    return {"boundaries": boundaries, "values": values}


def _linear(s: Any, rate: float) -> dict[str, Any]:
    return {
        "initial_learning_rate": s.first * rate,
        "decay_steps": s.steps,
        "end_learning_rate": s.last * rate,
    }


def _polynomial(s: Any, rate: float) -> dict[str, Any]:
    return {
        "initial_learning_rate": rate,
        "decay_steps": s.steps,
        "end_learning_rate": 0.0,
        "power": s.power,
    }


def _cosine(s: Any, rate: float) -> dict[str, Any]:
    return {"initial_learning_rate": rate, "decay_steps": s.steps, "alpha": s.least}


ROWS: dict[str, Row] = {
    "exponential": ("ExponentialDecay", _decaying),
    "multi_step": ("PiecewiseConstantDecay", _multi_step),
    "linear": ("PolynomialDecay", _linear),
    "polynomial": ("PolynomialDecay", _polynomial),
    "cosine": ("CosineDecay", _cosine),
    "inverse_time": ("InverseTimeDecay", _decaying),
}


def made(case: Case) -> list[str]:
    """The lines that make the schedule of a new optimizer."""
    if case.schedule is None:
        return []
    constructor, given = ROWS[case.schedule.kind]
    options = given(case.schedule, case.optimizer.learning_rate)
    return [f"schedule = keras.optimizers.schedules.{constructor}({arguments(**options)})"]
