"""How exact the elementary functions of torch and TensorFlow are, against mpmath.

    python -m benchmarks.functions

prints, for each primitive of the oracle that a framework computes with a kernel of its own, the
largest error over its useful range in units of the unit roundoff, next to the bound that
`invariants/oracle/primitives.py` states. Each function is evaluated on a whole array and, for some
points, one by one: vectorised kernels and their scalar tails are different code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from invariants.oracle.primitives import PRIMITIVES

Array = np.ndarray

#: Points a function, and how many of them are evaluated one by one.
POINTS = 4000
SINGLE = 200

#: Decimal digits of the exact values; erf and tanh lose up to 40 of them near zero.
DIGITS = 60

UNIT_ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}


@dataclass(frozen=True)
class Function:
    """One function: where it is useful, its exact value, and its exact derivative.

    `ends` is its range for each dtype, outside which the result overflows or is subnormal. The
    derivative takes x and the y that the framework gave, and is None where no own kernel computes
    it. `through_y(y)` is what a relative error of y moves the derivative by, relative to that
    error: a derivative that is computed from y cannot be more exact than y allows.
    """

    ends: dict[str, tuple[float, float]]
    exact: Callable[[Any], Any]
    derivative: Callable[[Any, Any], Any] | None = None
    through_y: Callable[[Any], Any] = lambda y: mpf(0)


def _both(low: float, high: float) -> dict[str, tuple[float, float]]:
    return {"float32": (low, high), "float64": (low, high)}


def _exact_sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


_EXP = {"float32": (-87.0, 88.0), "float64": (-708.0, 709.0)}
_POSITIVE = {"float32": (1e-37, 1e38), "float64": (1e-307, 1e308)}

FUNCTIONS: dict[str, Function] = {
    "exp": Function(_EXP, mp.exp),
    "log": Function(_POSITIVE, mp.log),
    "tanh": Function(_both(-20.0, 20.0), mp.tanh, lambda x, y: 1 - y * y, lambda y: 2 * y * y),
    "sigmoid": Function(_EXP, _exact_sigmoid, lambda x, y: y * (1 - y), lambda y: y * y),
    "softplus": Function(_EXP, lambda x: mp.log1p(mp.exp(x)), lambda x, y: _exact_sigmoid(x)),
    "erf": Function(_both(-6.0, 6.0), mp.erf, lambda x, y: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "sqrt": Function(_POSITIVE, mp.sqrt),
    "rsqrt": Function(_POSITIVE, lambda x: 1 / mp.sqrt(x)),
}


def points(low: float, high: float, dtype: str) -> Array:
    """Numbers of `dtype` between `low` and `high`: evenly, by magnitude, and around 1."""
    rng = np.random.default_rng(0)
    count = POINTS // 4
    smallest = max(low, 1e-30)
    magnitudes = np.exp(rng.uniform(np.log(smallest), np.log(high), size=count))
    around_one = rng.choice([1.0, -1.0], count) * (1.0 + rng.normal(0.0, 0.1, count) ** 3)
    moderate = rng.uniform(-8.0, 8.0, size=count)
    x = np.concatenate([rng.uniform(low, high, size=count), magnitudes, around_one, moderate])
    if low < 0.0:
        x = np.concatenate([x, -magnitudes])
    x = x[(x >= low) & (x <= high) & (x != 0.0)]
    return np.unique(x.astype(dtype))


def torch_kernels(name: str) -> Callable[[Array], tuple[Array, Array]]:
    """x -> the function's value and derivative in torch."""
    import torch

    torch.set_num_threads(1)
    softplus = torch.nn.Softplus(threshold=1000.0)
    function = softplus if name == "softplus" else getattr(torch, name)

    def kernel(x: Array) -> tuple[Array, Array]:
        leaf = torch.tensor(x, requires_grad=True)
        y = function(leaf)
        (gradient,) = torch.autograd.grad(y, leaf, torch.ones_like(y))
        return y.detach().numpy(), gradient.numpy()

    return kernel


def tensorflow_kernels(name: str) -> Callable[[Array], tuple[Array, Array]]:
    """x -> the function's value and derivative in TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    function = getattr(tf.math, name)

    def kernel(x: Array) -> tuple[Array, Array]:
        leaf = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(leaf)
            y = function(leaf)
        return y.numpy(), tape.gradient(y, leaf).numpy()

    return kernel


BACKENDS: dict[str, Callable[[str], Callable[[Array], tuple[Array, Array]]]] = {
    "torch": torch_kernels,
    "TensorFlow": tensorflow_kernels,
}


@dataclass(frozen=True)
class Worst:
    """The largest error of a function, in units of the unit roundoff, and where it is."""

    ulps: float = 0.0
    x: float = 0.0

    def with_(self, ulps: Any, x: float) -> Worst:
        return Worst(float(ulps), x) if ulps > self.ulps else self


def _kernel_values(
    kernel: Callable[[Array], tuple[Array, Array]], x: Array
) -> Iterator[tuple[float, float, float]]:
    """(x, value, derivative), of a whole array and then of single points."""
    yield from zip(x.tolist(), *(part.tolist() for part in kernel(x)), strict=True)
    for single in x[:: max(1, len(x) // SINGLE)]:
        value, derivative = kernel(np.array([single]))
        yield float(single), float(value[0]), float(derivative[0])


def measure(name: str, backend: str, dtype: str) -> tuple[Worst, Worst]:
    """The largest errors of the value and of the derivative; results below normal are left out."""
    function, unit = FUNCTIONS[name], UNIT_ROUNDOFF[dtype]
    smallest = mpf(float(np.finfo(dtype).tiny))
    kernel = BACKENDS[backend](name)
    forward, backward = Worst(), Worst()
    with mp.workdps(DIGITS):
        for x, y, slope in _kernel_values(kernel, points(*function.ends[dtype], dtype)):
            exact = function.exact(mpf(x))
            if abs(exact) >= smallest:
                forward = forward.with_(abs(mpf(y) - exact) / (unit * abs(exact)), x)
            if function.derivative is None:
                continue
            exact = function.derivative(mpf(x), mpf(y))
            scale = abs(exact) + function.through_y(mpf(y))
            if scale >= smallest:
                backward = backward.with_(abs(mpf(slope) - exact) / (unit * scale), x)
    return forward, backward


def table() -> Iterator[str]:
    """The Markdown table, line by line."""
    yield "| function | framework | dtype | value | at x | stated | derivative | at x | stated |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, function in FUNCTIONS.items():
        row = PRIMITIVES[name]
        for backend in BACKENDS:
            for dtype in UNIT_ROUNDOFF:
                forward, backward = measure(name, backend, dtype)
                cells = [name, backend, dtype, *_cells(forward, row.ulps)]
                own = function.derivative is not None
                cells += _cells(backward, max(1.0, row.vjp_ulps)) if own else ["", "", ""]
                yield "| " + " | ".join(cells) + " |"


def _cells(worst: Worst, stated: float) -> list[str]:
    verdict = "" if worst.ulps <= stated else " **too small**"
    return [f"{worst.ulps:.2f}", f"{worst.x:.6g}", f"{stated:g}{verdict}"]


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
