"""The learning rate at each step, from the documented formulas, each operation rounded.

A formula takes the schedule, the number n of steps so far, the first rate and a function that
rounds; its arrays have shape (SAMPLES + 1,), like those of every other number of the oracle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import SAMPLES, Rounding

Round = Callable[[Array], Array]

Formula = Callable[[Any, int, float, float, Round], Array]


def _all(number: float) -> Array:
    return np.full(SAMPLES + 1, float(number))


def _progress(schedule: Any, n: int, rounded: Round) -> Array:
    """n / steps, rounded down in stairs."""
    return _all(n // schedule.steps) if schedule.stairs else rounded(_all(n / schedule.steps))


def exponential(schedule: Any, n: int, base: float, least: float, rounded: Round) -> Array:
    share = rounded(np.power(rounded(_all(schedule.decay)), _progress(schedule, n, rounded)))
    return rounded(rounded(_all(base)) * share)


def multi_step(schedule: Any, n: int, base: float, least: float, rounded: Round) -> Array:
    passed = sum(milestone <= n for milestone in schedule.milestones)
    return rounded(_all(base * schedule.decay**passed))


def linear(schedule: Any, n: int, base: float, least: float, rounded: Round) -> Array:
    left = 1.0 - min(n, schedule.steps) / schedule.steps
    start, end = rounded(_all(schedule.first * base)), rounded(_all(schedule.last * base))
    return rounded(rounded(rounded(start - end) * rounded(_all(left))) + end)


def polynomial(schedule: Any, n: int, base: float, least: float, rounded: Round) -> Array:
    if n >= schedule.steps:
        return _all(0.0)
    left = 1.0 - n / schedule.steps
    return rounded(rounded(_all(base)) * rounded(np.power(rounded(_all(left)), schedule.power)))


def cosine(schedule: Any, n: int, base: float, least: float, rounded: Round) -> Array:
    """least + (base - least) · (1 + cos(π · n / steps)) / 2."""
    angle = rounded(math.pi * rounded(_all(n / schedule.steps)))
    half = rounded(1.0 + rounded(np.cos(angle))) / 2.0
    floor = rounded(_all(least))
    return rounded(floor + rounded(rounded(rounded(_all(base)) - floor) * half))


def inverse_time(schedule: Any, n: int, base: float, least: float, rounded: Round) -> Array:
    passed = rounded(schedule.decay * _progress(schedule, n, rounded))
    return rounded(rounded(_all(base)) / rounded(1.0 + passed))


FORMULAS: Mapping[str, Formula] = {
    "exponential": exponential,
    "multi_step": multi_step,
    "linear": linear,
    "polynomial": polynomial,
    "cosine": cosine,
    "inverse_time": inverse_time,
}


#: Those whose rate is the one before, plus or minus a part of the first one.
_BY_DIFFERENCES = ("linear", "polynomial", "cosine")


def rate_at(
    schedule: Any, contract: Contract, rounding: Rounding, n: int, base: float, first: float
) -> Array:
    """The learning rate after n steps, in samples.

    base: the rate that the weight starts with. first: that of the optimizer, of which a floor is a
    share.
    """
    precision = contract["scheduled_rate"]
    inner = rounding if precision == "of_the_weight" else rounding.apart(precision)
    if schedule.kind == "cosine" and contract["cosine_beyond_its_end"] == "stays":
        n = min(n, schedule.steps)
    least = first * getattr(schedule, "least", 0.0)
    rate = FORMULAS[schedule.kind](schedule, n, base, least, inner.disturb)
    if not contract["schedules_recursive"]:
        return rate
    # Each rate comes from the one before it, and has been rounded as often.
    whole = _all(base) if schedule.kind in _BY_DIFFERENCES else rate
    return rate + (inner.disturb(whole, float(n)) - whole)


def share_after(schedule: Any, since: int, n: int) -> float:
    """What has become, after n steps, of a rate that was set after `since` of them, as a factor."""
    if schedule.kind == "multi_step":
        passed = sum(since < milestone <= n for milestone in schedule.milestones)
        return float(schedule.decay**passed)
    before, after = (
        float(FORMULAS[schedule.kind](schedule, m, 1.0, 0.0, lambda array: array)[0])
        for m in (since, n)
    )
    return after / before if before else 1.0
