"""What a cast to another floating point format makes of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import PRECISIONS, Precision, Rounding

#: Format -> the exponent of its smallest subnormal number.
_LEAST = {"float64": -1074, "float32": -149, "bfloat16": -133, "float16": -24}


def formats(before: str, after: str, contract: Contract) -> tuple[str, ...]:
    """The formats that a number is rounded to, one after the other, in a cast to the last."""
    narrow = PRECISIONS[after].significand_bits < 24
    twice = contract["cast_to_16_bits"] == "by_float32" and before == "float64" and narrow
    return ("float32", after) if twice else (after,)


def nearest(numbers: Array, precision: Precision) -> Array:
    """The numbers of a format nearest to these, ties to even; infinity beyond its range."""
    _, exponents = np.frexp(numbers)
    places = np.maximum(exponents - precision.significand_bits, _LEAST[precision.name])
    rounded = np.ldexp(np.rint(np.ldexp(numbers, -places)), places)
    return np.where(np.abs(rounded) > precision.largest, np.copysign(np.inf, numbers), rounded)


def cast(samples: Array, through: Sequence[str], rounding: Rounding) -> Array:
    """Weights in samples once they are cast; rounding: that of the last format.

    What is known to the bit stays known so. What is not is moved by as much as it may be rounded,
    and is unknown where it may leave the range.
    """
    exact = np.all(samples == samples[:1], axis=0)
    rounded = samples
    for name in through:
        rounded = nearest(rounded, PRECISIONS[name])
    if exact.all():
        return rounded
    moved = rounding.disturb(samples)
    beyond = ~(np.abs(samples).max(axis=0) < rounding.precision.largest / 2.0)
    return np.where(exact, rounded, np.where(beyond, np.nan, moved))
