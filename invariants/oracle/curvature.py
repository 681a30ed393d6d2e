"""The second derivative along a direction, of the same table of primitives: forward over reverse.

The gradient g of ⟨∇f, v⟩ is the derivative of ∇f along v (Pearlmutter 1994, "Fast Exact
Multiplication by the Hessian"). Every value has a tangent, its change along v, and every
vector-Jacobian product changes with the values that it is made of: its bends. A framework that
differentiates a gradient once more has the same numbers on its way, tangents for the adjoints of
adjoints, so they are rounded where it rounds.

A tangent is what the transposed product makes of its parents': that is the product itself where a
primitive acts on each element alone. A bend is the complex step of a product (Squire & Trapp 1998),
whose imaginary part is exact, for no two numbers are subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from invariants.oracle.primitives import PRIMITIVES, Array, align, reduced, sigmoid, unbroadcast

if TYPE_CHECKING:
    from invariants.oracle.rounding import Rounding
    from invariants.oracle.tape import Value

#: Such that a square of it is nothing beside any number of a pass; a power of two divides exactly.
_STEP = 2.0**-300

#: The primitives that move elements and add them up: a tangent goes the way of its value.
_LINEAR = frozenset(
    (
        "sum",
        "running_mean",
        "reshape",
        "transpose",
        "slice",
        "pad",
        "permute",
        "repeat",
        "take",
        "patches",
        "overlap",
    )
)

#: The primitives that are linear in each of two arguments, and sum over products of both.
_PRODUCTS = frozenset(("matmul", "batch_matmul"))

#: The primitives that act on each element alone, and whose slope changes with it.
_CURVED = frozenset(
    (
        "multiply",
        "leak",
        "divide",
        "square",
        "squared_deviation",
        "rescaled",
        "sqrt",
        "rsqrt",
        "exp",
        "exp_less_one",
        "celu",
        "log",
        "tanh",
        "sigmoid",
        "softplus",
        "erf",
        "binary_likelihood",
        "log_softmax",
    )
)

#: How much a slope changes relative to itself, where a product says how far the slope is rounded
#: beyond its own size; by the value, its arguments, the change of what it depends on, parameters.
_RELATIVE: dict[str, Callable[..., Array]] = {
    "erf": lambda y, x, change, **_: 2.0 * np.abs(x * change),
    "celu": lambda y, x, change, *, inverse, **_: np.abs(change) * inverse,
    "log_softmax": lambda y, x, change, **_: np.abs(change),
    "binary_likelihood": lambda y, x, change, **_: np.abs(change),
    "softplus": lambda y, x, change, **_: np.abs(change),
}

#: What torch adds to both factors of p·(1 - p): binary_cross_entropy_double_backward in
#: torch/csrc/autograd/FunctionsManual.cpp. It is 0 in float16.
_ADDED = 1e-12


def _likelihood_carried(g: Array, y: Array, p: Array, t: Array, *, floor: float) -> Array:
    """g·(p - t) / ((p + ε)·(1 - p + ε))."""
    added = _ADDED if floor else 0.0
    return _within(g * (p - t), (p + added) * (1.0 - p + added), floor)


def _likelihood_bend(
    g: Array, y: Array, p: Array, t: Array, *, floor: float
) -> tuple[Array, Array]:
    """What changes by g·(p² - 2·p·t + t) / ((p + ε)·(1 - p + ε))², its numerator summed so."""
    added, real = _ADDED if floor else 0.0, p.real
    divisor = np.square((real + added) * (1.0 - real + added))
    curve = _within(g * (real * real - 2.0 * real * t + t), divisor, floor)
    size = _within(np.abs(g[:1]) * (real * real + 2.0 * real * t + t)[:1], divisor[:1], floor)
    return curve * (p - real), 3.0 * size


def _softplus_bend(g: Array, y: Array, x: Array) -> tuple[Array, Array]:
    """What changes by g·s·(1 - s), s the sigmoid of x, which is rounded before it is taken from 1.

    softplus_double_backward and, of -x, log_sigmoid_double_backward in
    torch/csrc/autograd/FunctionsManual.cpp.
    """
    rising, falling = sigmoid(x.real), sigmoid(-x.real)
    size = np.abs(g[:1]) * np.square(np.maximum(rising, falling)[:1])
    return g * rising * falling * (x - x.real), size


def _within(product: Array, divisor: Array, floor: float) -> Array:
    """A quotient; in float16 one that may leave the format is not known."""
    quotient = product / divisor
    return quotient if floor else np.where(np.abs(1.0 / divisor) > 2.0**15, np.nan, quotient)


#: The products that carry a change by another formula than they are computed by.
_CARRYING: dict[str, Callable[..., Any]] = {"binary_likelihood": _likelihood_carried}

#: The products whose bend has a formula of its own, with a rounding that the product lacks.
_BENDING: dict[str, Callable[..., Any]] = {
    "binary_likelihood": _likelihood_bend,
    "softplus": _softplus_bend,
}


def tangent(value: Value, tangents: Mapping[int, Array]) -> Array | None:
    """The change of a value, from those of its parents; None where it has none."""
    if value.name == "concatenate":
        return _concatenated(value, tangents)
    total: Array | None = None
    for position, parent in enumerate(value.parents):
        change = tangents.get(parent.index)
        term = None if change is None else _carried(value, position, change)
        if term is not None:
            total = term if total is None else value.rounding.disturb(total + term)
    return total


def _concatenated(value: Value, tangents: Mapping[int, Array]) -> Array:
    parts = [tangents.get(p.index, np.zeros((1, *p.shape))) for p in value.parents]
    return PRIMITIVES["concatenate"].forward(*parts)


def _carried(value: Value, position: int, change: Array) -> Array | None:
    """What the change of one parent makes of the value's."""
    primitive, xs = PRIMITIVES[value.name], [p.data for p in value.parents]
    if value.name in _LINEAR or value.name in _PRODUCTS:
        xs[position] = change
        carried = primitive.forward(*xs, **value.params)
        size = primitive.magnitude(carried, *xs, **value.params) if primitive.magnitude else None
        return value.rounding.disturb(carried, primitive.ulps, size) if primitive.ulps else carried
    if value.name == "max":
        return _of_the_largest(value.data, xs[0], change, **value.params)
    if value.name == "log_softmax":
        mean, size = reduced(np.exp(value.data) * change, (change.ndim - 1,), keepdims=True)
        return value.rounding.disturb(change - mean, 1.0, size + 3.0 * np.abs(mean[:1]))
    if value.name == "unjudged":  # its gradient alone is not known
        return change
    if value.name == "differentiated_once":
        return None
    vjp, params = primitive.vjps[position], dict(value.params)
    if vjp is None:
        return None
    if params.get("again") is not None:
        params["share"] = params["again"]
    vjp = _CARRYING.get(value.name, vjp)
    shape = (change.shape[0], *value.data.shape[1:])
    change = np.broadcast_to(align(change, value.data.ndim), shape)
    product = vjp(change, value.data, *xs, **params)
    return rounded(value, value.rounding, product, primitive.vjp_ulps, np.abs(change[:1]))


def _of_the_largest(y: Array, x: Array, change: Array, *, tie: str) -> Array:
    """The change of a maximum: that of the first of the largest, or the mean of theirs."""
    if tie == "split":
        largest = x == np.expand_dims(y, -2)
        return np.asarray((largest * change).sum(axis=-2) / largest.sum(axis=-2))
    first = np.expand_dims(x.argmax(axis=-2), -2)
    there = np.arange(x.shape[-2])[:, None] == first
    return np.asarray(np.where(there, change, 0.0).sum(axis=-2))


def bends(value: Value, position: int, g: Array, tangents: Mapping[int, Array]) -> Iterator[Array]:
    """What the product for one parent changes by, with each number that it is made of.

    g: the adjoint of the value, which counts as a constant.
    """
    primitive, parents = PRIMITIVES[value.name], value.parents
    if value.name == "unjudged_again":
        yield np.full_like(g, np.nan)
    vjp = primitive.vjps[position] if primitive.vjps else None
    if vjp is None or value.name not in _CURVED | _PRODUCTS:
        return
    vjp = _BENDING.get(value.name, vjp)
    numbers = (value, *parents)
    for place, number in enumerate(numbers):
        change = tangents.get(number.index)
        if change is None:
            continue
        arrays: list[Any] = [n.data for n in numbers]
        if value.name in _PRODUCTS:
            if place == 2 - position:  # the other of the two
                arrays[place] = change
                product = vjp(g, *arrays, **value.params)
                yield received(value, position, product, primitive.vjp_ulps, np.abs(g[:1]))
            continue
        arrays[place] = arrays[place] + 1j * _STEP * change
        product = vjp(g, *arrays, **value.params)
        stepped, size = product if isinstance(product, tuple) else (product, None)
        if not np.iscomplexobj(stepped):
            continue
        bend: Array | tuple[Array, Array] = stepped.imag / _STEP
        if size is not None and value.name in _RELATIVE:
            x, y = parents[0].data[:1], value.data[:1]
            moved = _RELATIVE[value.name](y, x, change[:1], **value.params)
            bend = stepped.imag / _STEP, np.abs(size) * moved
        times = np.abs(g[:1] * align(change, g.ndim)[:1])
        # One product more than the slope is, by the change.
        yield received(value, position, bend, primitive.vjp_ulps + 1.0, times)


def on_the_way(value: Value, g: Array) -> Iterator[Array]:
    """What multiplies a change and may be beyond the format, however small the change is.

    torch differentiates a / b by b to -(a / b) / b (div_tensor_other_grad in
    torch/csrc/autograd/FunctionsManual.cpp), be it a quotient or the g / x that a logarithm hands
    on: then that is an infinity, or NaN times 0.
    """
    if value.name not in ("log", "divide"):
        return
    divisor = align(value.parents[-1].data, g.ndim)
    yield g / divisor / divisor
    if value.name == "divide":
        yield value.data / divisor / divisor


def rounded(
    value: Value,
    rounding: Rounding,
    product: Array | tuple[Array, Array],
    ulps: float,
    times: Array,
) -> Array:
    """A vector-Jacobian product of a value, rounded as its row in the table says.

    times: what multiplies a factor that an implementation may flush.
    """
    gradient, magnitude = product if isinstance(product, tuple) else (product, None)
    if magnitude is not None or ulps > 0.0:
        gradient = rounding.disturb(gradient, max(1.0, ulps), magnitude)
    return rounding.flush(gradient, times) if PRIMITIVES[value.name].vjp_may_flush else gradient


def received(
    value: Value, position: int, product: Array | tuple[Array, Array], ulps: float, times: Array
) -> Array:
    """What a parent receives of a product: rounded, and summed down to its shape."""
    parent = value.parents[position]
    rounding = max(value.rounding, parent.rounding, key=lambda held: held.unit)
    gradient = rounded(value, rounding, product, ulps, times)
    gradient, magnitude = unbroadcast(gradient, parent.shape)
    if magnitude is not None:
        gradient = rounding.disturb(gradient, 1.0, magnitude)
    if parent.rounding.unit > value.rounding.unit:  # an adjoint is held like its value
        gradient = rounding.disturb(gradient)
    return gradient
