"""Numbers of 50 digits that carry their derivatives: what the oracle is checked against.

`Dual` is forward-mode differentiation over mpmath. NumPy maps its functions over an object array by
calling methods of the elements, so the code of `independent_layers.py` runs on these unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mpmath import mp, mpf

DIGITS = 50

#: The smallest subnormal float64.
SMALLEST = mpf(2) ** -1074


class Dual:
    """A value and its derivatives by a list of variables; derivatives are 0 for a constant."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: Any, slopes: Any = 0) -> None:
        self.value = value
        self.slopes = slopes

    def _chain(self, value: Any, derivative: Any) -> Dual:
        return Dual(value, self.slopes * derivative)

    def __add__(self, other: Any) -> Dual:
        b = _dual(other)
        return Dual(self.value + b.value, self.slopes + b.slopes)

    def __mul__(self, other: Any) -> Dual:
        b = _dual(other)
        return Dual(self.value * b.value, self.slopes * b.value + b.slopes * self.value)

    def __truediv__(self, other: Any) -> Dual:
        b = _dual(other)
        quotient = self.value / b.value
        return Dual(quotient, (self.slopes - b.slopes * quotient) / b.value)

    def __neg__(self) -> Dual:
        return self._chain(-self.value, -1)

    def __sub__(self, other: Any) -> Dual:
        return self + -_dual(other)

    def __rsub__(self, other: Any) -> Dual:
        return _dual(other) - self

    def __rtruediv__(self, other: Any) -> Dual:
        return _dual(other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _dual(other).value)

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _dual(other).value)

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _dual(other).value)

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _dual(other).value)

    def exp(self) -> Dual:
        y = mp.exp(self.value)
        return self._chain(y, y)

    def log(self) -> Dual:
        return self._chain(mp.log(self.value), 1 / self.value)

    def log1p(self) -> Dual:
        return self._chain(mp.log1p(self.value), 1 / (1 + self.value))

    def tanh(self) -> Dual:
        return self._chain(mp.tanh(self.value), 1 / mp.cosh(self.value) ** 2)

    def sqrt(self) -> Dual:
        y = mp.sqrt(self.value)
        return self._chain(y, 1 / (2 * y))

    def erf(self) -> Dual:
        slope = 2 / mp.sqrt(mp.pi) * mp.exp(-(self.value**2))
        return self._chain(mp.erf(self.value), slope)


def _dual(x: Any) -> Dual:
    if isinstance(x, Dual):
        return x
    return Dual(mpf(x.item() if isinstance(x, np.generic) else x))


def variables(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """`arrays` as duals, each element a variable of its own."""
    count = sum(array.size for array in arrays)
    number, result = 0, []
    for array in arrays:
        duals = np.empty(array.size, dtype=object)
        for i, element in enumerate(array.reshape(-1).tolist()):
            slopes = np.full(count, mpf(0), dtype=object)
            slopes[number] = mpf(1)
            duals[i] = Dual(mpf(element), slopes)
            number += 1
        result.append(duals.reshape(array.shape))
    return result


def gradients(output: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The derivatives of the scalar `output` by the `variables` made of `arrays`."""
    scalar = np.asarray(output, dtype=object).reshape(-1)[0]
    cuts = np.cumsum([array.size for array in arrays])[:-1]
    slopes = np.zeros(sum(a.size for a in arrays), dtype=object) + scalar.slopes
    parts = np.split(slopes, cuts)
    return [part.reshape(a.shape) for part, a in zip(parts, arrays, strict=True)]


def spreads_away(observed: Any, exact: Any, spread: Any) -> float:
    """The largest |observed - exact| / spread, the difference taken at full precision.

    Differences below the smallest number of all are none.
    """
    worst = 0.0
    elements = zip(
        np.asarray(observed, dtype=np.float64).reshape(-1).tolist(),
        np.asarray(exact, dtype=object).reshape(-1),
        np.asarray(spread, dtype=np.float64).reshape(-1).tolist(),
        strict=True,
    )
    for got, wanted, sigma in elements:
        distance = abs(mpf(got) - wanted)
        if distance > SMALLEST:
            worst = max(worst, float(distance / mpf(sigma)) if sigma else float("inf"))
    return worst
