"""The primitives that every layer, loss and optimizer is written in: a table, one row each.

A row says how a value is computed, its vector-Jacobian products, and where an implementation
rounds. All arrays carry the sample axis of the rounding model first; `axis` arguments count from
the end, so they never see it.

Rounding is stated where frameworks round. Φ(x) as one primitive would hide that they round erf
before they add 1, which costs far more for negative x; so there is `erf`, and no Φ.

Errors of the elementwise functions, in units of the unit roundoff, are the largest that
`python -m benchmarks.functions` measured in torch 2.13.0 and TensorFlow 2.21.0 over their range in
four dtypes, rounded up; docs/rounding.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from invariants.oracle.rounding import straddle_maxima, straddle_zero

Array = np.ndarray

#: A VJP returns the gradient, or the gradient and the size of the sums it was reduced through
#: (√k·√Σ(terms)², see Rounding.disturb).
Vjp = Callable[..., "Array | tuple[Array, Array]"]

#: Exactness: from the parents' grids (a value is a multiple of 2^-grid) to the result's, or None.
GridRule = Callable[[Sequence[int]], int]


@dataclass(frozen=True)
class Primitive:
    """One row: `forward(*xs, **params)`, one VJP for each argument, and the rounding of each.

    A VJP is called as `vjp(g, y, *xs, **params)` with the gradient g of the output y. It may return
    the gradient in the broadcast shape; the tape sums it down.
    """

    forward: Callable[..., Array]
    vjps: tuple[Vjp | None, ...]
    ulps: float = 1.0
    vjp_ulps: float = 1.0
    magnitude: Callable[..., Array] | None = None
    grid: GridRule | None = None
    may_flush: bool = False
    vjp_may_flush: bool = False


# --- broadcasting and reductions ----------------------------------------------------------------


def align(x: Array, rank: int) -> Array:
    """`x` with singleton axes behind the sample axis, so that it broadcasts to `rank` axes."""
    if x.ndim == rank:
        return x
    return x.reshape(x.shape[:1] + (1,) * (rank - x.ndim) + x.shape[1:])


def reduced(terms: Array, axes: tuple[int, ...], keepdims: bool) -> tuple[Array, Array]:
    """The sum of `terms` over `axes`, and √k·√Σ(terms)² of its undisturbed sample."""
    total = terms.sum(axis=axes, keepdims=keepdims)
    first = terms[:1]
    count = 1
    for axis in axes:
        count *= terms.shape[axis]
    return total, np.sqrt(count * np.square(first).sum(axis=axes, keepdims=keepdims))


def unbroadcast(g: Array, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
    """The gradient `g` summed down to `shape` (without sample axis), and its magnitude."""
    if g.shape[1:] == shape:
        return g, None
    lead = g.ndim - 1 - len(shape)
    axes = tuple(range(1, 1 + lead)) + tuple(
        1 + lead + i for i, extent in enumerate(shape) if extent == 1 and g.shape[1 + lead + i] != 1
    )
    total, magnitude = reduced(g, axes, keepdims=True)
    return total.reshape((g.shape[0], *shape)), magnitude.reshape((1, *shape))


def _axes(axis: int | tuple[int, ...], x: Array) -> tuple[int, ...]:
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(x.ndim + a for a in axes)


def _sum(x: Array, *, axis: int | tuple[int, ...], keepdims: bool = False) -> Array:
    return np.asarray(x.sum(axis=_axes(axis, x), keepdims=keepdims))


def _sum_magnitude(
    y: Array, x: Array, *, axis: int | tuple[int, ...], keepdims: bool = False
) -> Array:
    return reduced(x, _axes(axis, x), keepdims)[1]


def _sum_vjp(
    g: Array, y: Array, x: Array, *, axis: int | tuple[int, ...], keepdims: bool = False
) -> Array:
    if not keepdims:
        g = np.expand_dims(g, _axes(axis, x))
    return np.broadcast_to(g, (g.shape[0], *x.shape[1:]))


def _running_mean(x: Array, *, axis: int | tuple[int, ...]) -> Array:
    return np.asarray(x.mean(axis=_axes(axis, x), keepdims=True))


def _running_mean_magnitude(y: Array, x: Array, *, axis: int | tuple[int, ...]) -> Array:
    return reduced(x, _axes(axis, x), True)[1] * (y[:1].size / x[:1].size)


def _running_mean_vjp(g: Array, y: Array, x: Array, *, axis: int | tuple[int, ...]) -> Array:
    return np.broadcast_to(g * (y[:1].size / x[:1].size), (g.shape[0], *x.shape[1:]))


# --- elementwise --------------------------------------------------------------------------------


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    def forward(a: Array, b: Array) -> Array:
        rank = max(a.ndim, b.ndim)
        return function(align(a, rank), align(b, rank))

    return forward


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow; of a complex x, too, whose real part decides."""
    positive = x.real >= 0
    z = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1.0, z) / (1.0 + z)


#: math.erf has no NumPy twin; the object loop is only walked by cases with a gelu.
_erf = np.vectorize(math.erf, otypes=[np.float64])


def _erf_vjp(g: Array, y: Array, x: Array) -> tuple[Array, Array]:
    """g·2/√π·exp(-x²): x² is rounded before exp, which moves the result by x²·u relative to it."""
    slope = g * (2.0 / math.sqrt(math.pi)) * np.exp(-x * x)
    return slope, np.abs(slope[:1]) * np.square(x[:1])


def _binary_likelihood(p: Array, t: Array, *, floor: float) -> Array:
    """-(t·log p + (1 - t)·log(1 - p)), each logarithm at least -100, as torch has it."""
    return -(t * np.maximum(np.log(p), -100.0) + (1.0 - t) * np.maximum(np.log1p(-p), -100.0))


def _binary_likelihood_vjp(g: Array, y: Array, p: Array, t: Array, *, floor: float) -> Array:
    """g·(p - t) / max(p·(1 - p), floor): binary_cross_entropy_backward in ATen/native/Loss.cpp.

    The floor of 1e-12 is 0 in float16: where p may have been rounded to 0 or 1 nothing is known,
    nor where the quotient leaves the format, since a mean is divided by its count afterwards.
    """
    slope = p * (1.0 - p)
    quotient = (p - t) / np.where(slope.real > floor, slope, floor or np.nan)
    if floor == 0.0:
        quotient = np.where(np.abs(quotient) > 2.0**15, np.nan, quotient)
    return g * quotient


def known_by(condition: Array, result: Array) -> Array:
    """`result`, and NaN where the condition is: what is lost before a kink stays lost behind it."""
    return np.where(np.isnan(condition), np.nan, result)


def _relu_vjp(g: Array, y: Array, x: Array, *, at_zero: float) -> Array:
    return known_by(x, np.where(x > 0, g, np.where(x == 0, at_zero * g, 0.0)))


def _leaky(x: Array, *, slope: float) -> Array:
    return np.where(x > 0, x, slope * x)


def _leaky_vjp(g: Array, y: Array, x: Array, *, slope: float) -> Array:
    return known_by(x, np.where(x > 0, g, slope * g))


def _where_positive(
    condition: Array, a: Array, b: Array, *, share: float = 0.0, again: float | None = None
) -> Array:
    """a where the condition is positive, b elsewhere.

    share: how much of the gradient goes to a where the condition is 0, the rest going to b; a and b
    are equal there unless it is 0. again: the share where a gradient is differentiated once more.
    """
    rank = max(condition.ndim, a.ndim, b.ndim)
    condition = align(condition, rank)
    return known_by(condition, np.where(condition > 0, align(a, rank), align(b, rank)))


def _where_positive_vjp_a(
    g: Array,
    y: Array,
    condition: Array,
    a: Array,
    b: Array,
    *,
    share: float = 0.0,
    again: float | None = None,
) -> Array:
    condition = align(condition, g.ndim)
    shared = np.where(condition == 0, share * g, 0.0)
    return known_by(condition, np.where(condition > 0, g, shared))


def _where_positive_vjp_b(
    g: Array,
    y: Array,
    condition: Array,
    a: Array,
    b: Array,
    *,
    share: float = 0.0,
    again: float | None = None,
) -> Array:
    condition = align(condition, g.ndim)
    shared = np.where(condition == 0, (1.0 - share) * g, g)
    return known_by(condition, np.where(condition > 0, 0.0, shared))


def _leak_vjp(g: Array, y: Array, x: Array, slope: Array) -> Array:
    """g·slope, which changes with the slope but where x is 0."""
    slope = align(slope, g.ndim)
    return g * np.where(x.real == 0.0, slope.real, slope)


def _leak_vjp_slope(g: Array, y: Array, x: Array, slope: Array) -> Array:
    """g·x, which does not change where x is 0."""
    return g * np.where(x.real == 0.0, 0.0, x)


def _sign(x: Array) -> Array:
    """1, 0 or -1; what is not finite is not known, and has no sign."""
    return np.where(np.isfinite(x), np.sign(x), np.nan)


def _by_sign(s: Array, above: Array, at: Array, below: Array) -> Array:
    """One of three, where a sign is 1, 0 and -1."""
    rank = max(a.ndim for a in (s, above, at, below))
    s, above, at, below = (align(a, rank) for a in (s, above, at, below))
    return known_by(s, np.where(s > 0, above, np.where(s < 0, below, at)))


def _celu(x: Array, *, alpha: float, inverse: float) -> Array:
    return alpha * (np.exp(x / alpha) - 1.0)


def _celu_vjp(g: Array, y: Array, x: Array, *, alpha: float, inverse: float) -> tuple[Array, Array]:
    """g·α·i·exp(x·i), i the inverse of α: x·i is rounded before exp."""
    slope = g * (alpha * inverse) * np.exp(x * inverse)
    return slope, np.abs(slope[:1] * x[:1]) * inverse


def _log_softmax(x: Array) -> Array:
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def _log_softmax_magnitude(y: Array, x: Array) -> Array:
    """z - log Σ exp z rounds relative to z and to the logarithm, whose argument is a sum."""
    z = x[:1] - x[:1].max(axis=-1, keepdims=True)
    return np.abs(z) + 4.0 * (1.0 + np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def _log_softmax_vjp(g: Array, y: Array, x: Array) -> tuple[Array, Array]:
    """g - exp(y)·Σg, exp taken of the rounded result, as both frameworks do."""
    total, magnitude = reduced(g, (g.ndim - 1,), keepdims=True)
    share = np.exp(y)
    return g - share * total, share[:1] * (magnitude + 3.0 * np.abs(total[:1]))


def _squared_deviation_vjp(
    g: Array, y: Array, x: Array, mean: Array, *, steady: bool = False
) -> tuple[Array, Array]:
    """2·(x - mean)·g, where kernels fold (b·x - b·mean) and so round relative to b·x.

    steady: the mean counts as a constant in the derivative of this, too.
    """
    b, mean = 2.0 * g, mean.real if steady else mean
    return b * (x - mean), np.abs(b[:1] * x[:1])


# --- linear algebra -----------------------------------------------------------------------------


def _matmul_magnitude(y: Array, a: Array, b: Array) -> Array:
    return np.sqrt(a.shape[-1] * (np.square(a[:1]) @ _right(np.square(b[:1]), a)))


def _right(b: Array, a: Array) -> Array:
    """A kernel of shape (S, k, n), aligned to the leading axes of `a`."""
    return align(b, a.ndim)


def _matmul_vjp_left(g: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    transposed = _right(np.swapaxes(b, -1, -2), a)
    terms = np.square(g[:1]) @ np.square(transposed[:1])
    return g @ transposed, np.sqrt(b.shape[-1] * terms)


def _matmul_vjp_right(g: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    rows = np.swapaxes(a.reshape(a.shape[0], -1, a.shape[-1]), -1, -2)
    columns = g.reshape(g.shape[0], -1, g.shape[-1])
    terms = np.square(rows[:1]) @ np.square(columns[:1])
    return rows @ columns, np.sqrt(rows.shape[-1] * terms)


def _batch_matmul_magnitude(y: Array, a: Array, b: Array) -> Array:
    return np.sqrt(a.shape[-1] * (np.square(a[:1]) @ np.square(b[:1])))


def _batch_matmul_vjp_left(g: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    transposed = np.swapaxes(b, -1, -2)
    return g @ transposed, _batch_matmul_magnitude(y, g, transposed)


def _batch_matmul_vjp_right(g: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    transposed = np.swapaxes(a, -1, -2)
    return transposed @ g, _batch_matmul_magnitude(y, transposed, g)


# --- moving elements ----------------------------------------------------------------------------


def _reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return x.reshape((x.shape[0], *shape))


def _reshape_vjp(g: Array, y: Array, x: Array, *, shape: tuple[int, ...]) -> Array:
    return g.reshape((g.shape[0], *x.shape[1:]))


def _part(x: Array, start: int, stop: int, axis: int) -> tuple[slice | int, ...]:
    """The index of `start:stop` on an axis that counts from the end."""
    return (slice(None),) * (x.ndim + axis) + (slice(start, stop),)


def _slice(x: Array, *, start: int, stop: int, axis: int = -1) -> Array:
    return x[_part(x, start, stop, axis)]


def _slice_vjp(g: Array, y: Array, x: Array, *, start: int, stop: int, axis: int = -1) -> Array:
    full = np.zeros((g.shape[0], *x.shape[1:]))
    full[_part(x, start, stop, axis)] = g
    return full


def _permute(x: Array, *, axes: tuple[int, ...]) -> Array:
    return x.transpose(0, *(1 + axis for axis in axes))


def _permute_vjp(g: Array, y: Array, x: Array, *, axes: tuple[int, ...]) -> Array:
    return g.transpose(0, *(1 + int(axis) for axis in np.argsort(axes)))


def _repeat(x: Array, *, axis: int, times: int) -> Array:
    """Each element `times` times in a row on an axis that counts from the end."""
    return np.repeat(x, times, axis=x.ndim + axis)


def _repeat_vjp(
    g: Array, y: Array, x: Array, *, axis: int, times: int
) -> Array | tuple[Array, Array]:
    place = x.ndim + axis
    apart = g.reshape(g.shape[:place] + (x.shape[place], times) + g.shape[place + 1 :])
    return reduced(apart, (place + 1,), keepdims=False)


def _pad(x: Array, *, widths: tuple[tuple[int, int], ...]) -> Array:
    return np.pad(x, ((0, 0), *widths))


def _pad_vjp(g: Array, y: Array, x: Array, *, widths: tuple[tuple[int, int], ...]) -> Array:
    inner = tuple(
        slice(before, before + n) for (before, _), n in zip(widths, x.shape[1:], strict=True)
    )
    return g[(slice(None), *inner)]


def _transpose(x: Array, *, axes: tuple[int, ...]) -> Array:
    return x.transpose((0, *(1 + axis for axis in axes)))


def _transpose_vjp(g: Array, y: Array, x: Array, *, axes: tuple[int, ...]) -> Array:
    return _transpose(g, axes=tuple(int(place) for place in np.argsort(axes)))


def _take(table: Array, *, indices: Array) -> Array:
    return table[:, indices]


def _take_vjp(g: Array, y: Array, table: Array, *, indices: Array) -> tuple[Array, Array]:
    chosen = (np.arange(table.shape[1])[:, None] == indices.reshape(-1)).astype(np.float64)
    rows = g.reshape(g.shape[0], -1, g.shape[-1])
    count = chosen.sum(axis=1)[:, None]
    return chosen @ rows, np.sqrt(count * (chosen @ np.square(rows[:1])))


def lookup_sums(g: Array, *, indices: Array, rows: int) -> Array:
    """For each row of a table the sums over its lookups of the gradient's squares and sizes.

    Of shape (2, S, rows, features): first the squares, then the absolute values.
    """
    chosen = (np.arange(rows)[:, None] == indices.reshape(-1)).astype(np.float64)
    each = g.reshape(g.shape[0], -1, g.shape[-1])
    return np.stack([chosen @ np.square(each), chosen @ np.abs(each)])


Pair = tuple[int, int]


def windows(extent: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """How many windows of `kernel` elements, `dilation` apart, fit into `extent` at `stride`."""
    return (extent - (kernel - 1) * dilation - 1) // stride + 1


def _patches(x: Array, *, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)) -> Array:
    """(S, N, H, W, C) -> (S, N, OH, OW, KH·KW, C): the windows of a convolution or a pool."""
    s, n, h, w, c = x.shape
    (kh, kw), (sh, sw), (dh, dw) = kernel, strides, dilation
    oh, ow = windows(h, kh, sh, dh), windows(w, kw, sw, dw)
    a, b, row, column, channel = x.strides
    view = np.lib.stride_tricks.as_strided(
        x,
        (s, n, oh, ow, kh, kw, c),
        (a, b, row * sh, column * sw, row * dh, column * dw, channel),
        writeable=False,
    )
    return view.reshape(s, n, oh, ow, kh * kw, c)


def _overlapped(
    g: Array, size: Pair, kernel: Pair, strides: Pair, dilation: Pair
) -> tuple[Array, Array]:
    """The adjoint of `_patches`: windows added up where they lie in an image of `size`."""
    (kh, kw), (sh, sw), (dh, dw) = kernel, strides, dilation
    s, n, oh, ow, _, c = g.shape
    total = np.zeros((s, n, *size, c))
    squares = np.zeros((1, n, *size, c))
    count = np.zeros((1, n, *size, c))
    for k in range(kh * kw):
        i, j = k // kw * dh, k % kw * dw
        place = (
            slice(None),
            slice(None),
            slice(i, i + sh * (oh - 1) + 1, sh),
            slice(j, j + sw * (ow - 1) + 1, sw),
        )
        total[place] += g[:, :, :, :, k]
        squares[place] += np.square(g[:1, :, :, :, k])
        count[place] += 1.0
    return total, np.sqrt(np.where(count > 1.0, count, 0.0) * squares)


def _patches_vjp(
    g: Array, y: Array, x: Array, *, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)
) -> tuple[Array, Array]:
    return _overlapped(g, x.shape[2:4], kernel, strides, dilation)


def _overlap(x: Array, *, size: Pair, kernel: Pair, strides: Pair, dilation: Pair) -> Array:
    """(S, N, OH, OW, KH·KW, C) -> (S, N, *size, C): what a transposed convolution adds up."""
    return _overlapped(x, size, kernel, strides, dilation)[0]


def _overlap_magnitude(y: Array, x: Array, **params: Any) -> Array:
    return _overlapped(x[:1], **params)[1]


def _overlap_vjp(
    g: Array, y: Array, x: Array, *, size: Pair, kernel: Pair, strides: Pair, dilation: Pair
) -> Array:
    (oh, ow), (kh, kw), (sh, sw), (dh, dw) = x.shape[2:4], kernel, strides, dilation
    rows, columns = (oh - 1) * sh + (kh - 1) * dh + 1, (ow - 1) * sw + (kw - 1) * dw + 1
    covered = np.ascontiguousarray(g[:, :, :rows, :columns])
    return _patches(covered, kernel=kernel, strides=strides, dilation=dilation)


def _max_vjp(g: Array, y: Array, x: Array, *, tie: str) -> Array | tuple[Array, Array]:
    """The gradient of equal maxima goes to the first of them, or to all in equal parts.

    A part may be computed as g·(1/n), which rounds twice unless n is a power of two.
    """
    if tie == "split":
        largest = x == np.expand_dims(y, -2)
        count = largest.sum(axis=-2, keepdims=True)
        parts = largest * np.expand_dims(g, -2) / count
        rounded = (count & (count - 1)) > 0
        return (parts, np.abs(parts[:1]) * rounded[:1]) if rounded.any() else parts
    first = np.expand_dims(x.argmax(axis=-2), -2)
    return np.where(np.arange(x.shape[-2])[:, None] == first, np.expand_dims(g, -2), 0.0)


def _concatenate(*xs: Array) -> Array:
    samples = max(x.shape[0] for x in xs)
    return np.concatenate([np.broadcast_to(x, (samples, *x.shape[1:])) for x in xs], axis=-1)


def _narrowed(x: Array, held: Array | None = None) -> Array:
    """The same number, or the one that a cast was made of before."""
    return x if held is None else held


# --- the table ----------------------------------------------------------------------------------

_KEEP: GridRule = max
_PRODUCT: GridRule = sum

PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive(_binary(np.add), (lambda g, y, a, b: g,) * 2, vjp_ulps=0.0, grid=_KEEP),
    "subtract": Primitive(
        _binary(np.subtract),
        (lambda g, y, a, b: g, lambda g, y, a, b: -g),
        vjp_ulps=0.0,
        grid=_KEEP,
    ),
    "multiply": Primitive(
        _binary(np.multiply),
        (lambda g, y, a, b: g * align(b, g.ndim), lambda g, y, a, b: g * align(a, g.ndim)),
        grid=_PRODUCT,
    ),
    # x · slope, whose derivative counts as constant where x is 0.
    "leak": Primitive(_binary(np.multiply), (_leak_vjp, _leak_vjp_slope), grid=_PRODUCT),
    "divide": Primitive(
        _binary(np.divide),
        (
            lambda g, y, a, b: g / align(b, g.ndim),
            lambda g, y, a, b: -g * align(y, g.ndim) / align(b, g.ndim),
        ),
        vjp_ulps=3.0,
    ),
    # x / divisor, and its derivative by way of the `inverse` of it that a kernel is given.
    "divide_by": Primitive(
        lambda x, divisor, inverse: x / divisor,
        (lambda g, y, x, divisor, inverse: g * inverse,),
        vjp_ulps=2.0,
    ),
    "square": Primitive(np.square, (lambda g, y, x: 2.0 * x * g,), grid=lambda q: 2 * q[0]),
    # The mean counts as a constant in a variance: its derivative is zero, and torch's kernels and
    # tf.nn.moments (stop_gradient) leave it out, so a rounded mean is not made up for.
    "squared_deviation": Primitive(
        lambda x, mean, steady=False: np.square(x - mean),
        (_squared_deviation_vjp, None),
        ulps=3.0,
        vjp_ulps=2.0,
    ),
    # Both frameworks fold the mean into an offset on a CPU (x·s + (β - mean·s): torch's batch norm
    # kernel, Keras's batch_normalization), which rounds relative to x and to the mean. In the
    # backward pass torch sums the gradient of the mean by itself; folded on the tape, the rounding
    # of that sum would be made up for by the gradient of the scale.
    "centred": Primitive(
        _binary(np.subtract),
        (lambda g, y, x, mean: g, lambda g, y, x, mean: -g),
        vjp_ulps=0.0,
        magnitude=lambda y, x, mean: np.abs(x[:1]) + np.abs(mean[:1]),
    ),
    # What is centred · scale, size being |x| + |mean|. The gradient of the scale is worked out anew
    # from x and the mean, Σ g·x - mean·Σ g (ds and db in torch's group_norm_kernel.cpp, the scale
    # and the offset of tf.nn.batch_normalization), so it does not share the rounding of the centred
    # values in the forward pass, which the rest of the network might make up for.
    "rescaled": Primitive(
        lambda x, scale, size: x * align(scale, x.ndim),
        (
            lambda g, y, x, scale, size: g * align(scale, g.ndim),
            lambda g, y, x, scale, size: (g * x, np.abs(g[:1]) * size),
        ),
    ),
    "sqrt": Primitive(np.sqrt, (lambda g, y, x: g / (2.0 * y),), ulps=2.0, vjp_ulps=2.0),
    "rsqrt": Primitive(
        lambda x: 1.0 / np.sqrt(x), (lambda g, y, x: -0.5 * g * y**3,), ulps=3.0, vjp_ulps=3.0
    ),
    "exp": Primitive(np.exp, (lambda g, y, x: g * y,), ulps=3.0, may_flush=True),
    # exp(x) - 1 whose derivative is computed from the rounded result y, as y + 1.
    "exp_less_one": Primitive(
        lambda x: np.exp(x) - 1.0,
        (lambda g, y, x: g * (y + 1.0),),
        magnitude=lambda y, x: 2.0 * np.exp(x[:1]),
        vjp_ulps=2.0,
    ),
    # α·(exp(x / α) - 1), and its derivative by way of the `inverse` of α that a kernel is given.
    "celu": Primitive(
        _celu,
        (_celu_vjp,),
        magnitude=lambda y, x, alpha, inverse: (
            np.exp(x[:1] / alpha) * (2.0 * alpha + np.abs(x[:1]))
        ),
        ulps=4.0,
        vjp_ulps=4.0,
        vjp_may_flush=True,
    ),
    "log": Primitive(np.log, (lambda g, y, x: g / x,), ulps=4.0, vjp_ulps=4.0),
    "tanh": Primitive(np.tanh, (lambda g, y, x: g * (1.0 - y * y),), ulps=8.0, vjp_ulps=2.0),
    "sigmoid": Primitive(
        sigmoid, (lambda g, y, x: g * y * (1.0 - y),), ulps=7.0, vjp_ulps=3.0, may_flush=True
    ),
    "softplus": Primitive(
        lambda x: np.logaddexp(0.0, x),
        (lambda g, y, x: g * sigmoid(x),),
        ulps=8.0,
        vjp_ulps=7.0,
        vjp_may_flush=True,
    ),
    "erf": Primitive(
        _erf,
        (_erf_vjp,),
        ulps=7.0,
        vjp_ulps=4.0,
        vjp_may_flush=True,
    ),
    "binary_likelihood": Primitive(
        _binary_likelihood,
        (_binary_likelihood_vjp, None),
        ulps=4.0,
        vjp_ulps=4.0,
    ),
    "relu": Primitive(
        lambda x, at_zero: np.maximum(x, 0.0),
        (_relu_vjp,),
        ulps=0.0,
        vjp_ulps=0.0,
        grid=_KEEP,
    ),
    "leaky_relu": Primitive(_leaky, (_leaky_vjp,), ulps=2.0, vjp_ulps=2.0),
    "where_positive": Primitive(
        _where_positive,
        (None, _where_positive_vjp_a, _where_positive_vjp_b),
        ulps=0.0,
        vjp_ulps=0.0,
        grid=_KEEP,
    ),
    # What updates are made of: nothing is differentiated through them.
    "sign": Primitive(_sign, (None,), ulps=0.0, grid=_KEEP),
    "absolute": Primitive(np.abs, (None,), ulps=0.0, grid=_KEEP),
    "maximum": Primitive(_binary(np.maximum), (None, None), ulps=0.0, grid=_KEEP),
    "minimum": Primitive(_binary(np.minimum), (None, None), ulps=0.0, grid=_KEEP),
    "by_sign": Primitive(_by_sign, (None,) * 4, ulps=0.0, grid=_KEEP),
    "log_softmax": Primitive(_log_softmax, (_log_softmax_vjp,), magnitude=_log_softmax_magnitude),
    "sum": Primitive(_sum, (_sum_vjp,), vjp_ulps=0.0, magnitude=_sum_magnitude, grid=_KEEP),
    # The mean of a norm, axes kept. It is rounded even where the sum is exact: torch updates it
    # value by value with reciprocals of the count (Welford 1962), ATen/native/cpu/moments_utils.h.
    "running_mean": Primitive(
        _running_mean, (_running_mean_vjp,), magnitude=_running_mean_magnitude
    ),
    "matmul": Primitive(
        lambda a, b: a @ _right(b, a),
        (_matmul_vjp_left, _matmul_vjp_right),
        magnitude=_matmul_magnitude,
        grid=_PRODUCT,
    ),
    # Each matrix of a batch by its own: (..., m, k) @ (..., k, n), no axis broadcast.
    "batch_matmul": Primitive(
        np.matmul,
        (_batch_matmul_vjp_left, _batch_matmul_vjp_right),
        magnitude=_batch_matmul_magnitude,
        grid=_PRODUCT,
    ),
    # The samples of a value that lies within its spread of a kink, put on both sides of it.
    "straddle_zero": Primitive(straddle_zero, (lambda g, y, x, turn: g,), ulps=0.0, vjp_ulps=0.0),
    "straddle_maxima": Primitive(
        straddle_maxima, (lambda g, y, x, turn: g,), ulps=0.0, vjp_ulps=0.0
    ),
    # The identity, behind which the gradient is not known: what flows back to its left is no longer
    # judged.
    "unjudged": Primitive(
        lambda x: x, (lambda g, y, x: np.full_like(g, np.nan),), ulps=0.0, vjp_ulps=0.0, grid=_KEEP
    ),
    # The identity, of whose gradient a share flows on; again: the share where a gradient is
    # differentiated once more.
    "shared": Primitive(
        lambda x, share, again=None: x,
        (lambda g, y, x, share, again=None: g * share,),
        ulps=0.0,
        vjp_ulps=2.0,
        grid=_KEEP,
    ),
    # The identity, behind which the derivative of a gradient is not known.
    "unjudged_again": Primitive(
        lambda x: x, (lambda g, y, x: g,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP
    ),
    # The identity, whose gradient counts as a constant where it is differentiated.
    "differentiated_once": Primitive(
        lambda x: x, (lambda g, y, x: g,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP
    ),
    # The same number in another format.
    "narrowed": Primitive(_narrowed, (lambda g, y, x, held=None: g,), vjp_ulps=0.0, grid=_KEEP),
    "widened": Primitive(lambda x: x, (lambda g, y, x: g,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
    "max": Primitive(
        lambda x, tie: x.max(axis=-2), (_max_vjp,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP
    ),
    "reshape": Primitive(_reshape, (_reshape_vjp,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
    # axes: those of the value without its sample axis, in their new order.
    "transpose": Primitive(_transpose, (_transpose_vjp,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
    "slice": Primitive(_slice, (_slice_vjp,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
    "pad": Primitive(_pad, (_pad_vjp,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
    "permute": Primitive(_permute, (_permute_vjp,), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
    "repeat": Primitive(_repeat, (_repeat_vjp,), ulps=0.0, grid=_KEEP),
    "take": Primitive(_take, (_take_vjp,), ulps=0.0, grid=_KEEP),
    "patches": Primitive(_patches, (_patches_vjp,), ulps=0.0, grid=_KEEP),
    "overlap": Primitive(
        _overlap, (_overlap_vjp,), vjp_ulps=0.0, magnitude=_overlap_magnitude, grid=_KEEP
    ),
    "concatenate": Primitive(_concatenate, (), ulps=0.0, vjp_ulps=0.0, grid=_KEEP),
}


#: primitive with a kink -> what puts the samples of its first argument on both sides.
STRADDLES = {
    "relu": "straddle_zero",
    "leaky_relu": "straddle_zero",
    "where_positive": "straddle_zero",
    "sign": "straddle_zero",
    "max": "straddle_maxima",
}

#: The primitives with a pole at 0 of their argument, or of their derivative. That of sqrt counts
#: in float16, whose second moments in Adam are rounded to zero where training ends at once.
POLES = ("rsqrt", "sqrt")

#: The primitives with a kink: how many elements of an exact argument lie on it.
KINKS: dict[str, Callable[[Array], int]] = {
    "relu": lambda x: int(np.count_nonzero(x == 0.0)),
    "max": lambda x: int(np.count_nonzero((x == x.max(axis=-2, keepdims=True)).sum(axis=-2) > 1)),
}


def exact_in(name: str, y: Array, xs: Sequence[Array], grid: int, limit: float, **p: Any) -> bool:
    """Whether `y` is exact in every order of summation, all terms being multiples of 2^-grid.

    The terms and every partial sum are integers below `limit` = 2^p in units of 2^-grid, so each
    has a significand of p bits.
    """
    if name in ("matmul", "batch_matmul"):
        bound = xs[0].shape[-1] * np.abs(xs[0]).max(initial=0.0) * np.abs(xs[1]).max(initial=0.0)
    elif name == "sum":
        bound = np.abs(xs[0]).max(initial=0.0) * (xs[0].size / max(1, y.size))
    elif name == "overlap":
        bound = np.abs(xs[0]).max(initial=0.0) * xs[0].shape[-2]
    else:
        bound = np.abs(y).max(initial=0.0)
    return bool(bound * 2.0**grid <= limit)


def concatenate_vjp(g: Array, widths: Sequence[int]) -> list[Array]:
    """The gradient of a concatenation along the last axis, cut at the widths of its parts."""
    return np.split(g, np.cumsum(widths)[:-1], axis=-1)
