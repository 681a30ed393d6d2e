"""How many ulps a primitive must state to cover what a framework's function does.

An error is measured in units of the unit roundoff, beyond the magnitude that the primitive's row
states beside its ulps, relative to the exact result. Each function is evaluated on a whole array
and, for some points, one by one: vectorised kernels and their scalar tails are different code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from mpmath import mp, mpf

from benchmarks.functions.exact import FUNCTIONS, Derivative, Ends, Function
from benchmarks.functions.kernels import BACKENDS, DTYPES, Kernel
from invariants.oracle.primitives import PRIMITIVES
from invariants.oracle.rounding import PRECISIONS

Array = np.ndarray

#: Points a function, and how many of them are evaluated one by one.
POINTS = 12000
SINGLE = 400

#: Decimal digits of the exact values; erf and tanh lose up to 40 of them near zero.
DIGITS = 60


@dataclass(frozen=True)
class Worst:
    """The ulps that are needed, and the arguments at which they are."""

    ulps: float = 0.0
    at: tuple[float, ...] = ()

    def with_(self, ulps: float, at: tuple[float, ...]) -> Worst:
        return Worst(ulps, at) if not ulps <= self.ulps else self


def stated(name: str, derivative: bool) -> float:
    """The ulps in the primitive's row; the tape rounds a result that has a magnitude once more."""
    row = PRIMITIVES[name]
    return row.vjp_ulps if derivative else row.ulps


def points(ends: Ends, dtype: str, rng: np.random.Generator) -> Array:
    """Numbers of `dtype` between two ends: evenly, by magnitude, around 1 and moderate ones."""
    low, high = ends
    count = POINTS // 4
    sign = rng.choice([1.0, -1.0], count)
    smallest = max(min(abs(low), abs(high)) if low * high > 0.0 else 1e-3, 1e-307)
    largest = max(abs(low), abs(high))
    x = np.concatenate(
        [
            rng.uniform(low, high, count),
            sign * np.exp(rng.uniform(np.log(smallest), np.log(largest), count)),
            sign * (1.0 + rng.normal(0.0, 0.1, count) ** 3),
            rng.uniform(-8.0, 8.0, count),
        ]
    )
    within = (x > low) & (x < high) & (x != 0.0)
    x = np.where(within, x, rng.uniform(low, high, x.size))
    return np.asarray(rng.permutation(x).astype(DTYPES[dtype]))


@cache
def arguments(name: str, dtype: str) -> tuple[tuple[Array, ...], Array]:
    """The arguments of a function and the gradient of its result, one of [1, 2) for each point."""
    function = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    xs = [points(ends[dtype], dtype, rng) for ends in function.ends]
    if function.levels:
        xs.append(rng.choice(function.levels, xs[0].size).astype(DTYPES[dtype]))
    g = rng.uniform(1.0, 2.0, xs[0].size).astype(DTYPES[dtype])
    return tuple(xs), g


def _one_by_one(kernel: Kernel, xs: Sequence[Array], g: Array) -> tuple[Array, list[Array]]:
    """A kernel's results of the whole arrays, those of some single points put in their places."""
    y, gradients = kernel(xs, g)
    y, gradients = y.copy(), [gradient.copy() for gradient in gradients]
    for place in range(0, g.size, max(1, g.size // SINGLE)):
        own = slice(place, place + 1)
        y[own], single = kernel([x[own] for x in xs], g[own])
        for gradient, part in zip(gradients, single, strict=True):
            gradient[own] = part
    return y, gradients


def measure(name: str, backend: str, dtype: str) -> dict[str, Worst]:
    """Label -> the ulps that are needed: `name` for the value, `name'` for the derivatives.

    Empty where the framework has no such function.
    """
    function = FUNCTIONS[name]
    params = function.params(dtype)
    kernel = BACKENDS[backend](name, dtype, params)
    if kernel is None:
        return {}
    xs, g = arguments(name, dtype)
    try:
        results = (kernel(xs, g), _one_by_one(kernel, xs, g))
    except (RuntimeError, NotImplementedError):  # the framework lacks it in this dtype
        return {}
    wide, up = [x.astype(np.float64) for x in xs], g.astype(np.float64)
    with mp.workdps(DIGITS):
        found = {name: Worst()}
        for y, gradients in results:
            found[name] = _worst(found[name], _values(name, function, dtype, wide, y))
            for derivative in function.derivatives:
                slopes = _slopes(name, derivative, dtype, wide, up, y, gradients[derivative.of])
                found[f"{name}'"] = _worst(found.get(f"{name}'", Worst()), slopes)
    return found


def _worst(worst: Worst, needed: Iterator[tuple[float, tuple[float, ...]]]) -> Worst:
    for ulps, at in needed:
        worst = worst.with_(ulps, at)
    return worst


def _needed(error: Any, magnitude: float, scale: Any, dtype: str) -> float:
    """The ulps for an error."""
    return float(max(mpf(0), abs(error) / PRECISIONS[dtype].unit_roundoff - magnitude) / scale)


def _normal(number: Any, dtype: str) -> bool:
    """Whether a number, and a half and the double of it, are normal in `dtype`.

    An implementation that works it out in two factors may flush or overflow beyond.
    """
    limits = ml_dtypes.finfo(DTYPES[dtype])
    return bool(2 * float(limits.tiny) <= abs(number) <= float(limits.max) / 2)


@cache
def _exact_values(name: str, dtype: str) -> list[Any]:
    function = FUNCTIONS[name]
    xs, _ = arguments(name, dtype)
    more = _of_the_exact(function, dtype)
    columns = zip(*(x.astype(np.float64).tolist() for x in xs), strict=True)
    return [function.exact(*(mpf(x) for x in point), **more) for point in columns]


def _of_the_exact(function: Function, dtype: str) -> dict[str, Any]:
    return {name: n for name, n in function.params(dtype).items() if name == "slope"}


def _values(
    name: str, function: Function, dtype: str, xs: list[Array], y: Array
) -> Iterator[tuple[float, tuple[float, ...]]]:
    row, params = PRIMITIVES[name], function.params(dtype)
    magnitudes = np.zeros(y.size)
    if row.magnitude is not None:
        magnitudes = row.magnitude(y[None], *(x[None] for x in xs), **params)[0]
    for i, exact in enumerate(_exact_values(name, dtype)):
        if _normal(exact, dtype):
            ulps = _needed(mpf(y[i]) - exact, magnitudes[i], abs(exact), dtype)
            yield ulps, tuple(float(x[i]) for x in xs)


def _slopes(
    name: str,
    derivative: Derivative,
    dtype: str,
    xs: list[Array],
    g: Array,
    y: Array,
    gradient: Array,
) -> Iterator[tuple[float, tuple[float, ...]]]:
    vjp, params = PRIMITIVES[name].vjps[derivative.of], FUNCTIONS[name].params(dtype)
    more = _of_the_exact(FUNCTIONS[name], dtype)
    assert vjp is not None, name
    with np.errstate(over="ignore"):  # beyond what is normal, where nothing is measured
        told = vjp(g[None], y[None], *(x[None] for x in xs), **params)
    magnitudes = told[1][0] if isinstance(told, tuple) else np.zeros(y.size)
    for i in range(y.size):
        point = tuple(float(x[i]) for x in xs)
        slope = derivative.exact(mpf(y[i]), *(mpf(x) for x in point), **more)
        if _normal(slope, dtype):
            scale = mpf(g[i]) * (abs(slope) + derivative.through(mpf(y[i])))
            error = mpf(gradient[i]) - mpf(g[i]) * slope
            yield _needed(error, float(magnitudes[i]), scale, dtype), point
