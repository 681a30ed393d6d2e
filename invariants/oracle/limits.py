"""Where an implementation may leave its dtype's range: nothing of such a pass can be judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from invariants.oracle.primitives import Array
from invariants.oracle.tape import Tape


def may_leave_the_range(tape: Tape, gradients: Mapping[str, Array], trained: bool) -> bool:
    """Whether an implementation may have infinities, NaN or zeros where float64 still counts.

    trained: weights have been moved before the pass.
    """
    narrow = tape.rounding.precision.name == "float16"  # 65504 is reached without any training
    return ((narrow or trained) and _may_overflow(tape, gradients)) or _may_lose_a_logarithm(tape)


def _may_overflow(tape: Tape, gradients: Mapping[str, Array]) -> bool:
    """Whether a product of two values of the pass, or an adjoint, may be too large.

    Training that diverges gets there.
    """
    largest = tape.rounding.precision.largest
    if not tape.largest_adjoint <= largest / 4.0:  # partial sums are larger
        return True
    limit = np.sqrt(largest)
    arrays = (*(value.data for value in tape.values), *gradients.values())
    return any(not np.abs(array).max(initial=0.0) <= limit for array in arrays)


#: The smallest number of float16 that is held with all of its digits.
_FULL_DIGITS_IN_FLOAT16 = 2.0**-14


def square_may_underflow(tape: Tape) -> bool:
    """Whether the square of a divisor may be no normal number, as one of float16 is below 0.008.

    XLA makes one quotient of two: (x / y) / y, the gradient of a quotient, becomes x / (y · y).
    """
    precision = tape.rounding.precision
    least = max(precision.smallest_normal, precision.absolute and _FULL_DIGITS_IN_FLOAT16)
    divisors = (value.parents[1] for value in tape.values if value.name == "divide")
    return any(bool((np.abs(divisor.data) < np.sqrt(least)).any()) for divisor in divisors)


def step_may_leave_the_range(tape: Tape) -> bool:
    """Whether a number on the way of an optimizer's step may be too large, or a divisor too small.

    A square of float16 is from 256 on: a second moment that is infinite ends training. So does one
    that is 0, where ε times a correction is below the smallest number there.
    """
    limit = tape.rounding.precision.largest / 4.0
    made = (np.abs(value.data) for value in tape.values if value.parents)
    if any(bool(((size > limit) & np.isfinite(size)).any()) for size in made):
        return True
    least = tape.rounding.precision.smallest_normal
    divisors = (value.parents[1] for value in tape.values if value.name == "divide")
    return any(bool((np.abs(divisor.data) < least).any()) for divisor in divisors)


def _may_lose_a_logarithm(tape: Tape) -> bool:
    """Whether a logarithm is taken of a number that an implementation may hold as 0.

    Of a probability that underflows, say, or of 1 - p where p rounds to 1, which some samples have
    below 0: there a gradient of 0 becomes NaN.
    """
    least = tape.rounding.precision.smallest_normal
    logarithms = (value for value in tape.values if value.name == "log")
    return any((v.parents[0].data < least).any() for v in logarithms)
