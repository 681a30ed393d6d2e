"""The functions that are measured: where each is useful, its exact value and exact derivatives.

They are the elementwise primitives of `invariants/oracle/primitives.py` that a framework has as one
function. The oracle works in float64, so it cannot say what is exact there; mpmath does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mpmath import mp, mpf

Array = np.ndarray

Ends = tuple[float, float]

#: dtype -> the logarithms between which exp neither overflows nor is subnormal.
EXPONENTS: dict[str, Ends] = {
    "float64": (-708.0, 709.0),
    "float32": (-87.0, 88.0),
    "bfloat16": (-87.0, 88.0),
    "float16": (-9.5, 11.0),
}

#: Up to where a reciprocal is worked out with normal numbers alone: beyond 2^102 TensorFlow's in
#: float32, by Newton's iteration, is thousands of ulps away.
POSITIVE: dict[str, Ends] = {
    "float64": (1e-307, 1e300),
    "float32": (1e-37, 1e30),
    "bfloat16": (1e-37, 1e30),
    "float16": (1e-4, 6e4),
}


def everywhere(low: float, high: float) -> dict[str, Ends]:
    """The same ends in every dtype."""
    return dict.fromkeys(POSITIVE, (low, high))


#: Factors and terms: products and quotients of them fit into float16.
MODERATE = everywhere(-100.0, 100.0)
NEGATIVE = everywhere(-9.5, -1e-4)
PROBABILITY = everywhere(1e-3, 1.0 - 2.0**-7)


@dataclass(frozen=True)
class Derivative:
    """d y / d x_i for the argument `of`.

    exact(y, *xs) takes the y that the framework gave. A derivative that is computed from y rounds
    relative to `through(y)` as well: it cannot be more exact than y allows.
    """

    of: int
    exact: Callable[..., Any]
    through: Callable[[Any], Any] = lambda y: mpf(0)


@dataclass(frozen=True)
class Function:
    """One primitive: the ends of each argument, its exact value and its derivatives.

    params: those of the primitive, for a dtype.
    levels: the values of a last argument that takes few, such as a target.
    """

    ends: Sequence[Mapping[str, Ends]]
    exact: Callable[..., Any]
    derivatives: Sequence[Derivative]
    params: Callable[[str], dict[str, Any]] = lambda dtype: {}
    levels: Sequence[float] = field(default=())


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _slope(dtype: str) -> dict[str, Any]:
    """A slope that is rounded, but in float64: a known issue of TensorFlow rounds it there."""
    return {"slope": float(np.float32(0.2)) if dtype == "float64" else 0.2}


def _likelihood(p: Any, t: Any) -> Any:
    return -mp.log(p) if t else -mp.log1p(-p)


FUNCTIONS: dict[str, Function] = {
    "add": Function([MODERATE] * 2, lambda a, b: a + b, ()),
    "subtract": Function([MODERATE] * 2, lambda a, b: a - b, ()),
    "multiply": Function(
        [MODERATE] * 2,
        lambda a, b: a * b,
        [Derivative(0, lambda y, a, b: b), Derivative(1, lambda y, a, b: a)],
    ),
    "divide": Function(
        [MODERATE] * 2,
        lambda a, b: a / b,
        [Derivative(0, lambda y, a, b: 1 / b), Derivative(1, lambda y, a, b: -(a / b) / b)],
    ),
    "square": Function([MODERATE], lambda x: x * x, [Derivative(0, lambda y, x: 2 * x)]),
    "squared_deviation": Function(
        [MODERATE] * 2,
        lambda x, mean: (x - mean) ** 2,
        [Derivative(0, lambda y, x, mean: 2 * (x - mean))],
    ),
    "sqrt": Function([POSITIVE], mp.sqrt, [Derivative(0, lambda y, x: 1 / (2 * y))]),
    "rsqrt": Function(
        [POSITIVE], lambda x: 1 / mp.sqrt(x), [Derivative(0, lambda y, x: -(y**3) / 2)]
    ),
    "exp": Function([EXPONENTS], mp.exp, [Derivative(0, lambda y, x: y)]),
    "exp_less_one": Function([NEGATIVE], mp.expm1, [Derivative(0, lambda y, x: y + 1)]),
    "celu": Function(
        [NEGATIVE],
        lambda x: 3 * mp.expm1(x / 3),
        [Derivative(0, lambda y, x: mp.exp(x / 3))],
        lambda dtype: {"alpha": 3.0, "inverse": 1.0 / 3.0},
    ),
    "log": Function([POSITIVE], mp.log, [Derivative(0, lambda y, x: 1 / x)]),
    "tanh": Function(
        [everywhere(-20.0, 20.0)],
        mp.tanh,
        [Derivative(0, lambda y, x: 1 - y * y, lambda y: 2 * y * y)],
    ),
    "sigmoid": Function(
        [EXPONENTS], _sigmoid, [Derivative(0, lambda y, x: y * (1 - y), lambda y: y * y)]
    ),
    "softplus": Function(
        [EXPONENTS],
        lambda x: mp.log1p(mp.exp(x)),
        [Derivative(0, lambda y, x: _sigmoid(x))],
    ),
    "erf": Function(
        [everywhere(-6.0, 6.0)],
        mp.erf,
        [Derivative(0, lambda y, x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x))],
    ),
    "relu": Function(
        [MODERATE],
        lambda x: max(x, mpf(0)),
        [Derivative(0, lambda y, x: mpf(x > 0))],
        lambda dtype: {"at_zero": 0.0},
    ),
    "leaky_relu": Function(
        [MODERATE],
        lambda x, slope: x if x > 0 else mpf(slope) * x,
        [Derivative(0, lambda y, x, slope: mpf(1) if x > 0 else mpf(slope))],
        _slope,
    ),
    "binary_likelihood": Function(
        [PROBABILITY],
        _likelihood,
        [Derivative(0, lambda y, p, t: -1 / p if t else 1 / (1 - p))],
        levels=(0.0, 1.0),
    ),
}
