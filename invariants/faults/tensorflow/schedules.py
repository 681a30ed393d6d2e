"""Schedules and averages: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.generate.cases import Wanted

_CALLS = tuple(
    f"keras.optimizers.schedules.{name}.__call__"
    for name in (
        "ExponentialDecay",
        "PiecewiseConstantDecay",
        "PolynomialDecay",
        "CosineDecay",
        "InverseTimeDecay",
    )
)
_AVERAGE = Wanted(settings=("average",))
_UPDATE = ("keras.optimizers.Optimizer._update_model_variables_moving_average",)

_ROWS = {
    "schedule_stays": Row(
        "A schedule keeps the learning rate that it began with.",
        _CALLS,
        Wanted(settings=("schedule",)),
    ),
    "schedule_runs_ahead": Row("A schedule counts from 1.", _CALLS),
    "average_stays": Row(
        "The averages stay what the weights were after the first step.", _UPDATE, _AVERAGE
    ),
    "average_misses_frozen": Row(
        "The average of a frozen weight does not follow it any more.", _UPDATE
    ),
    "average_taken_but_for_last": Row(
        "The last weight does not become its average when they are taken.",
        ("keras.optimizers.Optimizer.finalize_variable_values",),
        _AVERAGE,
    ),
    "average_overwrites_nothing": Row(
        "The weights never become their averages.",
        ("keras.optimizers.Optimizer._overwrite_model_variables_with_average_value",),
        _AVERAGE,
    ),
}


def schedule_stays(call: Any) -> Any:
    def staying(self: Any, step: Any) -> Any:
        return call(self, step * 0)

    return staying


def schedule_runs_ahead(call: Any) -> Any:
    def running(self: Any, step: Any) -> Any:
        return call(self, step + 1)

    return running


def average_stays(update: Any) -> Any:
    def staying(self: Any, variables: Any) -> None:
        momentum = self.ema_momentum
        self.ema_momentum = 1.0
        update(self, variables)
        self.ema_momentum = momentum

    return staying


def average_misses_frozen(update: Any) -> Any:
    def missing(self: Any, variables: Any) -> None:
        pairs = zip(variables, self._model_variables_moving_average, strict=True)
        frozen = [(average, average + 0.0) for v, average in pairs if not v.trainable]
        update(self, variables)
        for average, kept in frozen:
            average.assign(kept)

    return missing


def average_taken_but_for_last(finalize: Any) -> Any:
    def short(self: Any, variables: Any) -> None:
        finalize(self, variables[:-1])

    return short


def average_overwrites_nothing(overwrite: Any) -> Any:
    def nothing(self: Any, variables: Any) -> None:
        return None

    return nothing


FAULTS = faults("tensorflow", _ROWS, globals())
