"""Where an implementation may leave its dtype's range: nothing of such a pass can be judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from invariants.oracle.primitives import Array
from invariants.oracle.tape import Tape, Value


def may_leave_the_range(tape: Tape, gradients: Mapping[str, Array], trained: bool) -> bool:
    """Whether an implementation may have infinities, NaN or zeros where float64 still counts.

    trained: weights have been moved before the pass.
    """
    narrow = tape.narrowest.name == "float16"  # 65504 is reached without any training
    adjoints = (narrow or trained) and _adjoints_may_overflow(tape, gradients)
    return adjoints or forward_may_leave_the_range(tape, trained)


def forward_may_leave_the_range(tape: Tape, trained: bool) -> bool:
    """The same of the forward pass alone, on which states depend."""
    narrow = tape.narrowest.name == "float16"
    return ((narrow or trained) and _values_may_overflow(tape)) or _may_lose_a_logarithm(tape)


def surely_overflows(tape: Tape, leaf: Value, gradient: Array) -> bool:
    """Whether no implementation can hold the gradient of a weight that is taken in a lower format.

    gradient: as it is scaled. It is a sum of what comes of each use, one of which is too large
    where all of them together are so many times.
    """
    cast = tape.casts.get((leaf.index, tape.narrowest.name))
    if cast is None:
        return False
    limit = 2.0 * tape.narrowest.largest * max(1, tape.uses.get(cast.index, 1))
    return bool((np.abs(gradient) > limit).all(axis=0).any())


def _adjoints_may_overflow(tape: Tape, gradients: Mapping[str, Array]) -> bool:
    """Whether an adjoint may be too large for its format, or a product of two gradients."""
    if not tape.largest_adjoint <= 0.25:  # partial sums are larger
        return True
    limit = np.sqrt(tape.widest.precision.largest)
    return any(beyond(array, limit) for array in gradients.values())


def _values_may_overflow(tape: Tape) -> bool:
    """Whether a product of two values of the pass may be too large for their format.

    Training that diverges gets there.
    """
    return any(
        beyond(value.data, np.sqrt(value.rounding.precision.largest)) for value in tape.values
    )


def beyond(array: Array, limit: float) -> bool:
    """Whether the size of a number is beyond a limit, or is none at all."""
    return not np.abs(array).max(initial=0.0) <= limit


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


def cube_may_overflow(tape: Tape) -> bool:
    """Whether the cube of a reciprocal root may be too large, as one of float16 is from 25 on.

    The derivative of a norm has such a factor, where it is composed of other operations.
    """
    limit = np.cbrt(tape.narrowest.largest / 4.0)
    return any(beyond(value.data, limit) for value in tape.values if value.name == "rsqrt")


def step_may_leave_the_range(tape: Tape) -> bool:
    """Whether a number on the way of an optimizer's step may be too large, or a divisor too small.

    A square of float16 is from 256 on: a second moment that is infinite ends training. So does one
    that is 0, where ε times a correction, or a floor under a root, is below the smallest number
    there.
    """
    limit = tape.rounding.precision.largest / 4.0
    made = (np.abs(value.data) for value in tape.values if value.parents)
    if any(bool(((size > limit) & np.isfinite(size)).any()) for size in made):
        return True
    least = tape.rounding.precision.smallest_normal
    divisors = (value.parents[-1] for value in tape.values if value.name in ("divide", "rsqrt"))
    return any(bool((np.abs(divisor.data) < least).any()) for divisor in divisors)


def is_chaos(gradients: Mapping[str, Array]) -> bool:
    """Whether a spread exceeds every gradient of a pass.

    A second derivative that is large on a narrow stretch (a softmax that tips over from one key to
    the next) is met by some samples and by others not, and by an implementation somewhere else.
    """
    largest = max((np.abs(g[0]).max(initial=0.0) for g in gradients.values()), default=0.0)
    spreads = (
        np.sqrt(np.square(g[1:] - g[0]).mean(axis=0)).max(initial=0.0)
        for g in gradients.values()
        if g.shape[0] > 1
    )
    return any(spread > largest for spread in spreads)


def _may_lose_a_logarithm(tape: Tape) -> bool:
    """Whether a logarithm is taken of a number that an implementation may hold as 0.

    Of a probability that underflows, say, or of 1 - p where p rounds to 1, which some samples have
    below 0: there a gradient of 0 becomes NaN.
    """
    logarithms = (value for value in tape.values if value.name == "log")
    return any((v.parents[0].data < v.rounding.precision.smallest_normal).any() for v in logarithms)
