"""Every layer and loss written a second time, in autograd.numpy, as its paper defines it.

Shares no code with the oracle: neither primitives nor layout tricks (a convolution is a sum of
shifted products), and the chain rule is the `autograd` package's. The same code also runs on
object arrays of `precise.Dual`, and in float32, because NumPy dispatches on the elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import autograd.numpy as np
import numpy
from autograd.extend import defvjp, primitive
from autograd.scipy.special import erf as _float_erf
from autograd.tracer import getval
from mpmath import mp

from invariants.architecture.graph import Block
from invariants.case import Case

_precise_erf = numpy.frompyfunc(lambda element: element.erf(), 1, 1)


def constant(x: Any, expression: Callable[[], Any]) -> Any:
    """A real constant, as exact as the elements of `x` are."""
    return expression() if x.dtype == object else float(expression())


# --- elementwise --------------------------------------------------------------------------------


def erf(x: Any) -> Any:
    return _precise_erf(x) if x.dtype == object else _float_erf(x)


def relu(x: Any) -> Any:
    return np.where(x > 0, x, 0.0 * x)


def decay(x: Any) -> Any:
    """exp(-|x|), with a derivative at 0."""
    return np.exp(np.where(x > 0, -x, x))


def sigmoid(x: Any) -> Any:
    e = decay(x)
    return np.where(x > 0, 1.0 / (1.0 + e), e / (1.0 + e))


def softplus(x: Any) -> Any:
    return relu(x) + np.log1p(decay(x))


def gelu(x: Any, approximate: bool) -> Any:
    if approximate:
        root = constant(x, lambda: mp.sqrt(2 / mp.pi))
        cubic = constant(x, lambda: mp.mpf(44715) / 10**6)
        return 0.5 * x * (1.0 + np.tanh(root * (x + cubic * x * x * x)))
    return x * (0.5 + 0.5 * erf(x / constant(x, lambda: mp.sqrt(2))))


def elu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * (np.exp(np.where(x > 0, 0.0 * x, x)) - 1.0))


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - np.max(getval(x), axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


# --- layers -------------------------------------------------------------------------------------


@dataclass
class Context:
    """What a layer may look at beside its inputs."""

    backend: str
    training: bool
    frozen: bool
    weights: Mapping[str, Any]
    state: dict[str, Any]
    kernel_frozen: bool = False


def with_weights(normal: Any, context: Context) -> Any:
    y = normal * context.weights["gamma"] if "gamma" in context.weights else normal
    return y + context.weights["beta"] if "beta" in context.weights else y


def standardise(x: Any, mean: Any, variance: Any, layer: Any, context: Context) -> Any:
    normal = (x - mean) / np.sqrt(variance + layer.epsilon)
    return with_weights(normal, context)


def spanned(layer: Any, x: Any) -> Any:
    return tuple(range(1, x.ndim)) if layer.span == "all" else -1


def layer_norm(layer: Any, context: Context, x: Any) -> Any:
    axes = spanned(layer, x)
    mean = np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(np.square(x - mean), axis=axes, keepdims=True)
    return standardise(x, mean, variance, layer, context)


def batch_norm(layer: Any, context: Context, x: Any) -> Any:
    if not layer.tracked:
        axes = tuple(range(x.ndim - 1))
        mean = np.mean(x, axis=axes)
        return standardise(x, mean, np.mean(np.square(x - mean), axis=axes), layer, context)
    mean, variance = context.state["moving_mean"], context.state["moving_variance"]
    inference = context.frozen and context.backend == "tensorflow"
    if context.training and not inference:
        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        moving, mean = mean, np.mean(x, axis=axes)
        moving_variance, variance = variance, np.mean(np.square(x - mean), axis=axes)
        bessel = count / (count - 1.0) if context.backend == "torch" else 1.0
        new = {
            "moving_mean": (moving, mean),
            "moving_variance": (moving_variance, variance * bessel),
        }
        for name, (old, moment) in new.items():
            context.state[name] = old + (getval(moment) - old) * layer.update
    return standardise(x, mean, variance, layer, context)


def dense(layer: Any, context: Context, x: Any) -> Any:
    y = np.matmul(x, context.weights["kernel"])
    return y + context.weights["bias"] if layer.use_bias else y


def window_elements(x: Any, size: Any, strides: Any, dilation: Any = (1, 1)) -> list[Any]:
    """For each position in a window, row by row, the elements that it meets, one a window."""
    (kh, kw), (sh, sw), (dh, dw) = size, strides, dilation
    h, w = x.shape[1] - (kh - 1) * dh, x.shape[2] - (kw - 1) * dw
    return [
        x[:, i * dh : i * dh + h : sh, j * dw : j * dw + w : sw, :]
        for i in range(kh)
        for j in range(kw)
    ]


def same_zeros(n: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """So that a window starts at every multiple of the stride; the odd zero goes after."""
    last = stride * ((n - 1) // stride)
    total = max(0, last + 1 + (kernel - 1) * dilation - n)
    return total // 2, total - total // 2


def zeros_around(x: Any, *widths: Any) -> Any:
    return np.pad(x, ((0, 0), *widths, (0, 0)), mode="constant")


def widened(x: Any, axis: int, n: int, mode: str) -> Any:
    """An axis with `n` of its own elements before and after."""
    x = np.moveaxis(x, axis, 0)
    before, after = {
        "reflect": (x[n:0:-1], x[-2 : -2 - n : -1]),
        "replicate": (np.stack([x[0]] * n), np.stack([x[-1]] * n)),
        "circular": (x[len(x) - n :], x[:n]),
    }[mode]
    return np.moveaxis(np.concatenate([before, x, after], axis=0), 0, axis)


def around(layer: Any, x: Any, widths: Any) -> Any:
    """What the layer puts around: zeros, or elements of the value."""
    if layer.padding_mode == "zeros":
        return zeros_around(x, *widths)
    for axis, (before, after) in enumerate(widths, start=1):
        n = max(before, after)
        if n:
            wide = widened(x, axis, n, layer.padding_mode)
            cut = slice(n - before, wide.shape[axis] - (n - after))
            x = wide[(slice(None),) * axis + (cut,)]
    return x


def padded_for(layer: Any, x: Any) -> Any:
    if layer.padding == "valid":
        return x
    if layer.padding != "same":
        return around(layer, x, [(n, n) for n in layer.padding])
    extents = zip(x.shape[1:-1], layer.kernel_size, layer.strides, layer.dilation, strict=True)
    return around(layer, x, [same_zeros(*extent) for extent in extents])


def cross_correlation(
    x: Any, kernel: Any, groups: int, strides: Any = (1, 1), dilation: Any = (1, 1)
) -> Any:
    elements = window_elements(x, kernel.shape[:2], strides, dilation)
    taps = np.reshape(kernel, (len(elements), *kernel.shape[2:]))
    channels, filters = x.shape[-1] // groups, kernel.shape[-1] // groups
    parts = []
    for g in range(groups):
        take, give = slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters)
        parts.append(
            sum(np.matmul(e[..., take], t[:, give]) for e, t in zip(elements, taps, strict=True))
        )
    return np.concatenate(parts, axis=-1)


def biased(layer: Any, context: Context, y: Any) -> Any:
    return y + context.weights["bias"] if layer.use_bias else y


def conv2d(layer: Any, context: Context, x: Any) -> Any:
    kernel, x = context.weights["kernel"], padded_for(layer, x)
    y = cross_correlation(x, kernel, layer.groups, layer.strides, layer.dilation)
    return biased(layer, context, y)


def by_channel(layer: Any, x: Any, kernel: Any) -> Any:
    """Channel by channel, each with its own kernels, the results side by side."""
    x = padded_for(layer, x)
    results = [
        cross_correlation(
            x[..., c : c + 1], kernel[:, :, c : c + 1], 1, layer.strides, layer.dilation
        )
        for c in range(x.shape[-1])
    ]
    return np.concatenate(results, axis=-1)


def depthwise_conv2d(layer: Any, context: Context, x: Any) -> Any:
    return biased(layer, context, by_channel(layer, x, context.weights["kernel"]))


def separable_conv2d(layer: Any, context: Context, x: Any) -> Any:
    y = by_channel(layer, x, context.weights["depthwise_kernel"])
    return biased(layer, context, np.matmul(y, context.weights["pointwise_kernel"][0, 0]))


def rows_for(layer: Any, x: Any) -> Any:
    """A sequence with its padding, as an image of one column."""
    reach = (layer.kernel_size - 1) * layer.dilation
    zeros = {
        "valid": (0, 0),
        "causal": (reach, 0),
        "same": same_zeros(x.shape[1], layer.kernel_size, layer.strides, layer.dilation),
    }.get(layer.padding, (layer.padding, layer.padding))
    return around(layer, x, [zeros])[:, :, None]


def by_feature(layer: Any, x: Any, kernel: Any) -> Any:
    """Feature by feature, each with its own kernels, the results side by side."""
    rows, strides, dilation = rows_for(layer, x), (layer.strides, 1), (layer.dilation, 1)
    results = [
        cross_correlation(rows[..., f : f + 1], kernel[:, None, f : f + 1], 1, strides, dilation)
        for f in range(x.shape[-1])
    ]
    return np.concatenate(results, axis=-1)[:, :, 0]


def depthwise_conv1d(layer: Any, context: Context, x: Any) -> Any:
    return biased(layer, context, by_feature(layer, x, context.weights["kernel"]))


def separable_conv1d(layer: Any, context: Context, x: Any) -> Any:
    y = by_feature(layer, x, context.weights["depthwise_kernel"])
    return biased(layer, context, np.matmul(y, context.weights["pointwise_kernel"][0]))


def conv1d(layer: Any, context: Context, x: Any) -> Any:
    rows = rows_for(layer, x)
    kernel = context.weights["kernel"][:, None]
    y = cross_correlation(rows, kernel, layer.groups, (layer.strides, 1), (layer.dilation, 1))
    return biased(layer, context, y[:, :, 0])


def correlated_volumes(x: Any, kernel: Any, groups: int, strides: Any, dilation: Any) -> Any:
    """Slice by slice of the kernel's depth: each a convolution of the slices that it meets."""
    (depth, *plane), (step, *apart) = strides, dilation
    results = []
    for first in range(0, x.shape[1] - (len(kernel) - 1) * step, depth):
        results.append(
            sum(
                cross_correlation(x[:, first + k * step], taps, groups, plane, apart)
                for k, taps in enumerate(kernel)
            )
        )
    return np.stack(results, axis=1)


def conv3d(layer: Any, context: Context, x: Any) -> Any:
    x, kernel = padded_for(layer, x), context.weights["kernel"]
    y = correlated_volumes(x, kernel, layer.groups, layer.strides, layer.dilation)
    return biased(layer, context, y)


def spread_out(x: Any, axis: int, stride: int) -> Any:
    """stride - 1 zeros behind each element of an axis."""
    apart = np.stack([x, *(0.0 * x for _ in range(stride - 1))], axis=axis + 1)
    shape = list(x.shape)
    shape[axis] *= stride
    return np.reshape(apart, shape)


def transposed(x: Any, kernel: Any, layer: Any, geometry: Any) -> Any:
    """A cross-correlation of the spread out input with the kernel turned round."""
    widths = []
    for axis, (stride, step, mode, extra) in enumerate(geometry):
        x = spread_out(x, axis + 1, stride)
        reach = (kernel.shape[axis] - 1) * step
        total = max(reach + 1 - stride, 0) if mode == "same" else 0
        before, after = reach - total // 2, reach - (total - total // 2)
        if isinstance(mode, int):
            before, after = reach - mode, reach - mode + extra
            last = x.shape[axis + 1] - (stride - 1) + min(after, 0)
            x = x[(slice(None),) * (axis + 1) + (slice(max(-before, 0), last),)]
            widths.append((max(before, 0), max(after, 0)))
            continue
        # The stride - 1 zeros behind the last element count as zeros after it.
        widths.append((before, max(after - (stride - 1), 0) + extra))
    size, dilation = x.shape[-1] // layer.groups, [step for _, step, _, _ in geometry]
    turned = np.swapaxes(kernel[(slice(None, None, -1),) * len(geometry)], -2, -1)
    correlate = cross_correlation if len(geometry) == 2 else correlated_volumes
    results = []
    for g in range(layer.groups):
        of = slice(g * size, (g + 1) * size)
        y = zeros_around(x[..., of], *widths)
        results.append(correlate(y, turned[..., of, :], 1, (1,) * len(geometry), dilation))
    return np.concatenate(results, axis=-1)


def conv_transpose(layer: Any, context: Context, x: Any) -> Any:
    rule = isinstance(layer.padding, str)
    modes = (layer.padding,) * (x.ndim - 2) if rule else layer.padding
    axes = zip(layer.strides, layer.dilation, modes, layer.extra, strict=True)
    return biased(layer, context, transposed(x, context.weights["kernel"], layer, list(axes)))


def conv1d_transpose(layer: Any, context: Context, x: Any) -> Any:
    kernel = context.weights["kernel"][:, None]
    axes = [(layer.strides, layer.dilation, layer.padding, layer.extra), (1, 1, "valid", 0)]
    return biased(layer, context, transposed(x[:, :, None], kernel, layer, axes)[:, :, 0])


def first_of(stacked: Any) -> Any:
    """The largest along the first axis; the first of equal ones."""
    first = numpy.argmax(getval(stacked), axis=0)
    places = numpy.arange(len(stacked)).reshape(-1, *(1,) * first.ndim)
    return np.sum(np.where(places == first, stacked, 0.0), axis=0)


def pool_windows(layer: Any, shape: Any) -> Any:
    """For each axis the places that each window covers, those beyond the ends included."""
    each = [layer.pool_size, layer.strides, getattr(layer, "dilation", (1, 1))]
    each = [(n,) if isinstance(n, int) else n for n in each]
    axes = []
    for n, size, s, d in zip(shape, *each, strict=False):
        k = (size - 1) * d + 1
        first = {"same": -same_zeros(n, k, s, 1)[0], "half": -(size // 2)}.get(layer.padding, 0)
        if layer.padding == "same":
            starts = [first + s * m for m in range((n + s - 1) // s)]
        elif layer.padding == "ceil":
            starts = [m for m in range(0, n, s) if m == 0 or m + k - s < n]
        else:
            starts = list(range(first, n - first - k + 1, s))
        axes.append([range(start, start + k, d) for start in starts])
    return axes


def pooled(layer: Any, x: Any, of: Any) -> Any:
    """of(elements of a window, how many places it covers) for each window of an image."""
    if x.ndim == 3:
        return pooled(layer, x[:, :, None], of)[:, :, 0]
    rows, *columns = pool_windows(layer, x.shape[1:-1])
    h, w = x.shape[1:3]
    lines = []
    for row in rows:
        line = []
        for column in columns[0] if columns else [range(w)]:
            met = [x[:, i, j] for i in row for j in column if 0 <= i < h and 0 <= j < w]
            line.append(of(met, len(row) * len(column)))
        lines.append(np.stack(line, axis=1))
    return np.stack(lines, axis=1)


def max_pool(layer: Any, context: Context, x: Any) -> Any:
    return pooled(layer, x, lambda met, places: first_of(np.stack(met)))


def avg_pool(layer: Any, context: Context, x: Any) -> Any:
    def mean(met: Any, places: int) -> Any:
        usual = places if layer.counts_padding else len(met)
        return sum(met) / (getattr(layer, "divisor", None) or usual)

    return pooled(layer, x, mean)


def global_max(layer: Any, context: Context, x: Any) -> Any:
    """torch names one index; TensorFlow's reduction shares among equal ones, as autograd's does."""
    places = np.reshape(x, (x.shape[0], -1, x.shape[-1]))
    if context.backend == "torch":
        return first_of(np.swapaxes(places, 0, 1))
    largest = getval(places) == np.max(getval(places), axis=1, keepdims=True)
    return np.sum(np.where(largest, places, 0.0), axis=1) / np.sum(largest, axis=1)


def cropped(x: Any, *widths: Any) -> Any:
    places = (slice(b, n - a) for n, (b, a) in zip(x.shape[1:], widths, strict=False))
    return x[(slice(None), *places)]


def stretched(x: Any, axis: int, size: int, layer: Any) -> Any:
    """`size` times as long on an axis, element by element of the result."""
    if size == 1:
        return x
    x, results = np.moveaxis(x, axis, 0), []
    last, count = x.shape[0] - 1, x.shape[0] * size
    for n in range(count):
        if layer.interpolation == "nearest":
            results.append(x[n // size])
            continue
        place = n * last / (count - 1) if layer.align_corners else (n + 0.5) / size - 0.5
        place = min(max(place, 0.0), float(last))
        left = int(place)
        share = place - left
        results.append((1.0 - share) * x[left] + share * x[min(left + 1, last)])
    return np.moveaxis(np.stack(results), 0, axis)


def up_sampling2d(layer: Any, context: Context, x: Any) -> Any:
    return stretched(stretched(x, 1, layer.size[0], layer), 2, layer.size[1], layer)


def part(layer: Any, context: Context, x: Any) -> Any:
    if layer.axis == "first":
        return x[:, layer.start : layer.stop]
    return x[..., layer.start : layer.stop]


def embedding(layer: Any, context: Context, x: Any) -> Any:
    table, indices = context.weights["embeddings"], numpy.asarray(x, dtype=numpy.int64)
    if layer.max_norm is not None:  # written to the table, so that only the numbers are others
        table = rewritten(table, context.state.get("embeddings"))
        numbers, asked = numpy.array(getval(table)), numpy.unique(indices)
        norms = numpy.linalg.norm(numbers[asked], ord=layer.norm_type, axis=-1, keepdims=True)
        factor = numpy.where(norms > layer.max_norm, layer.max_norm / (norms + 1e-7), 1.0)
        numbers[asked] = factor * numbers[asked]
        context.state["embeddings"] = numbers
        table = rewritten(table, numbers)
    rows = table[indices]
    if layer.by_frequency:  # a share of the row, and the rest of it as a constant
        share = 1.0 / numpy.bincount(indices.reshape(-1))[indices][..., None]
        rows = share * rows + (1.0 - share) * getval(rows)
    if layer.padding_index is None:
        return rows
    return np.where((indices == layer.padding_index)[..., None], getval(rows), rows)


def tied_embedding(layer: Any, context: Context, x: Any) -> Any:
    table = context.weights["embeddings"]
    chosen = numpy.eye(len(table))[numpy.asarray(x, dtype=numpy.int64)]
    return np.dot(np.dot(chosen, table), table.T)


def masked_mean(layer: Any, context: Context, x: Any) -> Any:
    indices = numpy.asarray(x, dtype=numpy.int64)
    seen = (indices != 0).astype(float)[..., None]
    return np.sum(context.weights["embeddings"][indices] * seen, axis=1) / seen.sum(axis=1)


def projection(layer: Any, context: Context, x: Any) -> Any:
    return np.matmul(x, context.state["components"]) - context.state["mean"]


def softplus_layer(layer: Any, context: Context, x: Any) -> Any:
    """torch's documentation: linear beyond a threshold, of 20 where it is not given."""
    if context.backend == "tensorflow":
        return softplus(x)
    steep = x * layer.beta
    return np.where(steep > (layer.threshold or 20.0), x, softplus(steep) / layer.beta)


def log_softmax(x: Any, axis: int = -1) -> Any:
    z = x - np.max(getval(x), axis=axis, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


def softsign(x: Any) -> Any:
    return x / (1.0 + np.where(x > 0, x, -x))


def selu(layer: Any, context: Context, x: Any) -> Any:
    alpha = constant(x, lambda: mp.mpf("1.6732632423543772848170429916717"))
    scale = constant(x, lambda: mp.mpf("1.0507009873554804934193349852946"))
    curve = scale * alpha * (np.exp(np.where(x > 0, 0.0 * x, x)) - 1.0)
    linear = x >= 0 if context.backend == "tensorflow" else x > 0
    return np.where(linear, scale * x, curve)


def celu(layer: Any, context: Context, x: Any) -> Any:
    curve = layer.alpha * (np.exp(np.where(x > 0, 0.0 * x, x) / layer.alpha) - 1.0)
    return np.where(x > 0, x, curve)


def glu(layer: Any, context: Context, x: Any) -> Any:
    half = x.shape[-1] // 2
    return x[..., :half] * sigmoid(x[..., half:])


def clip(x: Any, low: float, high: float) -> Any:
    """Flat at both ends, these included."""
    return np.where((x > low) & (x < high), x, 0.0 * x + np.where(x > low, high, low))


def hard_tanh(layer: Any, context: Context, x: Any) -> Any:
    if context.backend == "torch":
        return clip(x, layer.low, layer.high)
    return np.where(x > 1.0, 0.0 * x + 1.0, np.where(x >= -1.0, x, 0.0 * x - 1.0))


def hard_sigmoid(x: Any) -> Any:
    return clip(x + 3.0, 0.0, 6.0) / 6.0


def softshrink(layer: Any, context: Context, x: Any) -> Any:
    t = layer.threshold
    return np.where(x > t, x - t, np.where(x < -t, x + t, 0.0 * x))


def hard_shrink(layer: Any, context: Context, x: Any) -> Any:
    beyond = (x > layer.threshold) | (x < -layer.threshold)
    return np.where(beyond, x, 0.0 * x)


def prelu(layer: Any, context: Context, x: Any) -> Any:
    linear = x >= 0 if context.backend == "tensorflow" else x > 0
    return np.where(linear, x, context.weights["alpha"] * x)


def group_norm(layer: Any, context: Context, x: Any) -> Any:
    n, channels = x.shape[0], x.shape[-1]
    sizes = channels // layer.groups
    groups = [x[..., g * sizes : (g + 1) * sizes] for g in range(layer.groups)]
    normal = []
    for group in groups:
        flat = np.reshape(group, (n, -1))
        mean = np.mean(flat, axis=1, keepdims=True)
        variance = np.mean(np.square(flat - mean), axis=1, keepdims=True)
        scaled = (flat - mean) / np.sqrt(variance + layer.epsilon)
        normal.append(np.reshape(scaled, group.shape))
    y = np.concatenate(normal, axis=-1)
    return with_weights(y, context)


def instance_norm(layer: Any, context: Context, x: Any) -> Any:
    axes = tuple(range(1, x.ndim - 1))
    mean = np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(np.square(x - mean), axis=axes, keepdims=True)
    return standardise(x, mean, variance, layer, context)


def rms_norm(layer: Any, context: Context, x: Any) -> Any:
    squares = np.mean(np.square(x), axis=spanned(layer, x), keepdims=True)
    y = x / np.sqrt(squares + layer.epsilon)
    return y * context.weights["scale"] if layer.scaled else y


def directions(x: Any, axis: Any, least: float) -> Any:
    squares = np.sum(np.square(x), axis=axis, keepdims=True)
    longer = squares > least * least
    length = np.sqrt(np.where(longer, squares, 0.0 * squares + 1.0))
    return x / np.where(longer, length, 0.0 * length + least)


def average(layer: Any, context: Context, *xs: Any) -> Any:
    return sum(xs[1:], xs[0]) / len(xs)


def maximum(layer: Any, context: Context, *xs: Any) -> Any:
    largest = xs[0]
    for x in xs[1:]:
        equal = largest if context.backend == "tensorflow" else (largest + x) / 2.0
        largest = np.where(largest > x, largest, np.where(largest < x, x, equal))
    return largest


def minimum(layer: Any, context: Context, *xs: Any) -> Any:
    return -maximum(layer, context, *(-x for x in xs))


def dot(layer: Any, context: Context, a: Any, b: Any) -> Any:
    if layer.normalize:
        axis, least = -1 if layer.over == "features" else 1, 1e-12
        least = least if context.backend == "torch" else 1e-7
        a, b = directions(a, axis, least), directions(b, axis, least)
    if a.ndim == 2:
        return np.sum(a * b, axis=-1, keepdims=True)
    if layer.over == "steps":
        return np.matmul(np.swapaxes(a, 1, 2), b)
    return np.matmul(a, np.swapaxes(b, 1, 2))


def affine(context: Context, prefix: str, x: Any) -> Any:
    w = context.weights
    return np.matmul(x, w[prefix + "kernel"]) + w[prefix + "bias"]


def lora_dense(layer: Any, context: Context, x: Any) -> Any:
    w = context.weights
    # Not merged into the kernel: where x @ lora_a is an exact zero, so is the gradient of lora_b.
    update = np.matmul(np.matmul(x, w["lora_a"]), w["lora_b"]) * (layer.alpha / layer.rank)
    y = np.matmul(x, w["kernel"]) + update
    return y + w["bias"] if layer.use_bias else y


def with_lora(forward: Any, name: str) -> Any:
    """`forward` of a layer whose weight `name` has a low-rank update added."""

    def adapted(layer: Any, context: Context, x: Any) -> Any:
        w = context.weights
        update = np.tensordot(w["lora_a"], w["lora_b"], 1) * (layer.alpha / layer.rank)
        return forward(layer, replace(context, weights={**w, name: w[name] + update}), x)

    return adapted


def lora_conv2d(layer: Any, context: Context, x: Any) -> Any:
    w, x = context.weights, padded_for(layer, x)
    y = biased(layer, context, cross_correlation(x, w["kernel"], 1, layer.strides, layer.dilation))
    down = cross_correlation(x, w["lora_a"], 1, layer.strides, layer.dilation)
    return y + np.matmul(down, w["lora_b"][0, 0]) * (layer.alpha / layer.rank)


def in_front(rows: Any, x: Any) -> Any:
    return np.concatenate([np.stack([rows] * len(x)), x], axis=1)


def prefix_attention(layer: Any, context: Context, x: Any) -> Any:
    w = context.weights

    def made(name: str) -> Any:
        return np.dot(x, w[f"{name}_kernel"]) + w.get(f"{name}_bias", 0.0)

    q, size = made("query"), layer.key_size
    k, v = (in_front(w[f"prefix_{name}"], made(name)) for name in ("key", "value"))
    parts = [slice(start, start + size) for start in range(0, q.shape[-1], size)]
    heads = [attention(q[..., p], k[..., p], v[..., p], root_scale(x, size), False) for p in parts]
    joined = np.concatenate(heads, axis=-1)
    return np.dot(joined, w["output_kernel"]) + w.get("output_bias", 0.0)


def lora_embedding(layer: Any, context: Context, x: Any) -> Any:
    w = context.weights
    update = np.matmul(w["lora_a"], w["lora_b"]) * (layer.alpha / layer.rank)
    return (w["embeddings"] + update)[numpy.asarray(x, dtype=numpy.int64)]


def bottleneck(layer: Any, context: Context, x: Any) -> Any:
    inner = affine(context, "down_", x)
    inner = relu(inner) if layer.activation == "relu" else np.tanh(inner)
    return x + affine(context, "up_", inner)


def weight_norm_dense(layer: Any, context: Context, x: Any) -> Any:
    w = context.weights
    length = np.sqrt(np.sum(np.square(w["direction"]), axis=0))
    y = np.matmul(x, w["direction"]) / length * w["magnitude"][0]
    return y + w["bias"] if layer.use_bias else y


def weight_norm_conv2d(layer: Any, context: Context, x: Any) -> Any:
    """A convolution with the directions as they are; each filter's result scaled afterwards."""
    w = context.weights
    length = np.sqrt(np.sum(np.square(w["direction"]), axis=(0, 1, 2)))
    y = cross_correlation(padded_for(layer, x), w["direction"], 1, layer.strides, layer.dilation)
    return biased(layer, context, y / length * w["magnitude"][0, 0, 0])


def spectral(layer: Any, context: Context) -> Any:
    """The kernel over its largest singular value."""
    kernel, u, v = context.weights["kernel"], context.state["vector_u"], context.state["vector_v"]
    matrix, window = np.reshape(kernel, (-1, kernel.shape[-1])), v.shape
    v = v.reshape(-1)
    if context.training:
        known = getval(matrix)
        for _ in range(layer.iterations):
            u = known.T @ v
            u = u / numpy.sqrt(u @ u)
            v = known @ u
            v = v / numpy.sqrt(v @ v)
        context.state.update(vector_u=u, vector_v=v.reshape(window))
    return kernel / np.dot(v, np.dot(matrix, u))


def rewritten(weight: Any, value: Any) -> Any:
    """`weight` where a forward pass has put it: shifted by a constant."""
    return weight if value is None else weight + (value - getval(weight))


def over_its_norm(layer: Any, context: Context) -> Any:
    """The kernel is set to itself over σ, unless it is frozen; `state` tells where it is by now."""
    state, kernel = context.state, context.weights["kernel"]
    if context.training and not context.kernel_frozen:
        shape = kernel.shape
        known = numpy.reshape(state.get("kernel", getval(kernel)), (-1, shape[-1]))
        u = state["vector_u"]
        for _ in range(layer.iterations):
            v = known @ u
            v = v / numpy.sqrt(v @ v)
            u = known.T @ v
            u = u / numpy.sqrt(u @ u)
        state.update(vector_u=u, kernel=numpy.reshape(known / (v @ known @ u), shape))
    return rewritten(kernel, state.get("kernel"))


def spectral_normalization_dense(layer: Any, context: Context, x: Any) -> Any:
    return biased(layer, context, np.matmul(x, over_its_norm(layer, context)))


def spectral_normalization_conv2d(layer: Any, context: Context, x: Any) -> Any:
    x, kernel = padded_for(layer, x), over_its_norm(layer, context)
    return biased(layer, context, cross_correlation(x, kernel, 1, layer.strides, layer.dilation))


def spectral_norm_conv2d(layer: Any, context: Context, x: Any) -> Any:
    x, kernel = padded_for(layer, x), spectral(layer, context)
    y = cross_correlation(x, kernel, 1, layer.strides, layer.dilation)
    return biased(layer, context, y)


def squeeze_excite(layer: Any, context: Context, x: Any) -> Any:
    inner = relu(affine(context, "down_", np.mean(x, axis=(1, 2))))
    return x * sigmoid(affine(context, "up_", inner))[:, None, None, :]


def film(layer: Any, context: Context, x: Any, features: Any) -> Any:
    both = affine(context, "", features)
    shape = (x.shape[0], *(1 for _ in range(x.ndim - 2)), x.shape[-1])
    gamma, beta = both[:, : shape[-1]], both[:, shape[-1] :]
    return x * np.reshape(gamma, shape) + np.reshape(beta, shape)


def passing(layer: Any, z: Any) -> Any:
    return relu(z) if layer.activation == "relu" else np.tanh(z)


def opened(layer: Any, z: Any) -> Any:
    return hard_sigmoid(z) if layer.gate == "hard_sigmoid" else sigmoid(z)


def elman(layer: Any, w: Mapping[str, Any], x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    z = np.dot(x, w["kernel"]) + np.dot(h, w["recurrent_kernel"])
    z = z + w.get("bias", 0.0) + w.get("recurrent_bias", 0.0)
    return passing(layer, z), c


def long_short_term(layer: Any, w: Mapping[str, Any], x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    z = np.dot(x, w["kernel"]) + np.dot(h, w["recurrent_kernel"])
    z = z + w.get("bias", 0.0) + w.get("recurrent_bias", 0.0)
    i, f, g, o = (z[:, k * layer.units : (k + 1) * layer.units] for k in range(4))
    c = opened(layer, f) * c + opened(layer, i) * passing(layer, g)
    h = opened(layer, o) * passing(layer, c)
    return (np.dot(h, w["projection"]) if layer.projected_to else h), c


def gated(layer: Any, w: Mapping[str, Any], x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Written a gate at a time, each with its own columns of the matrices and the biases."""
    one, two = w.get("bias", 0.0), w.get("recurrent_bias", 0.0)
    if layer.biases == "stacked":
        one, two = one[0], one[1]

    def columns(array: Any, gate: int) -> Any:
        units = layer.units
        return array if isinstance(array, float) else array[..., gate * units : (gate + 1) * units]

    def of_input(gate: int) -> Any:
        return np.dot(x, columns(w["kernel"], gate)) + columns(one, gate)

    def of_state(gate: int, state: Any) -> Any:
        return np.dot(state, columns(w["recurrent_kernel"], gate)) + columns(two, gate)

    z = opened(layer, of_input(0) + of_state(0, h))
    r = opened(layer, of_input(1) + of_state(1, h))
    inner = r * of_state(2, h) if layer.reset == "after" else of_state(2, r * h)
    n = passing(layer, of_input(2) + inner)
    return n + z * (h - n), c


def at_rest(layer: Any, x: Any) -> tuple[Any, Any]:
    """The states before the first step."""
    c = numpy.zeros((x.shape[0], layer.units), dtype=getval(x).dtype)
    return c[:, : getattr(layer, "projected_to", 0) or layer.units], c


def recurrence(layer: Any, cell: Any, prefix: str, weights: Mapping[str, Any], x: Any) -> Any:
    """The outputs of every step, (N, T, units)."""
    own = {n.removeprefix(prefix): a for n, a in weights.items() if n.startswith(prefix)}
    h, c = at_rest(layer, x)
    outputs = []
    for t in range(x.shape[1]):
        h, c = cell(layer, own, x[:, t, :], h, c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def skipping(cell: Any) -> Callable[..., Any]:
    """Cells over rows of a table that leave their states as they are where a step is skipped."""

    def forward(layer: Any, context: Context, x: Any) -> Any:
        indices = numpy.asarray(x, dtype=numpy.int64)
        seen = indices != 0
        if layer.kind.startswith("padded"):
            seen = numpy.arange(indices.shape[1]) < numpy.maximum(seen.sum(1), 1)[:, None]
        y = context.weights["embeddings"][indices]
        for level in range(layer.levels):
            weights = {
                name.removeprefix("second_"): array
                for name, array in context.weights.items()
                if name.startswith("second_") == (level == 1)
            }
            y, last = one_level(layer, weights, y, seen)
        if not layer.return_sequences:
            return last
        zeros = layer.ends == 2 or layer.skipped == "zeros"
        return np.where(seen[..., None], y, 0.0) if zeros else y

    def one_level(layer: Any, weights: Any, x: Any, seen: Any) -> tuple[Any, Any]:
        sides, last = [], []
        for end in ("",) if layer.ends == 1 else ("forward_", "backward_"):
            own = {n.removeprefix(end): a for n, a in weights.items() if n.startswith(end)}
            h, c = at_rest(layer, x)
            outputs: dict[int, Any] = {}
            for t in sorted(range(x.shape[1]), reverse=end == "backward_"):
                after = cell(layer, own, x[:, t, :], h, c)
                pairs = zip(after, (h, c), strict=True)
                h, c = (np.where(seen[:, t, None], new, old) for new, old in pairs)
                outputs[t] = h
            sides.append(np.stack([outputs[t] for t in sorted(outputs)], axis=1))
            last.append(h)
        return np.concatenate(sides, axis=-1), np.concatenate(last, axis=-1)

    return forward


def recurrent(cell: Any) -> Callable[..., Any]:
    def forward(layer: Any, context: Context, x: Any) -> Any:
        x = x[:, ::-1, :] if layer.backwards else x
        y = recurrence(layer, cell, "", context.weights, x)
        return y if layer.return_sequences else y[:, -1, :]

    return forward


def both_ends(layer: Any, cell: Any, context: Context, x: Any) -> Any:
    weights = context.weights
    there = recurrence(layer, cell, "forward_", weights, x)
    back = recurrence(layer, cell, "backward_", weights, x[:, ::-1, :])
    if layer.levels == 2:
        x = np.concatenate([there, back[:, ::-1, :]], axis=-1)
        there = recurrence(layer, cell, "second_forward_", weights, x)
        back = recurrence(layer, cell, "second_backward_", weights, x[:, ::-1, :])
    if layer.return_sequences:
        back = back[:, ::-1, :]
    else:
        there, back = there[:, -1, :], back[:, -1, :]
    return {
        "concat": lambda: np.concatenate([there, back], axis=-1),
        "sum": lambda: there + back,
        "mul": lambda: there * back,
        "ave": lambda: there / 2.0 + back / 2.0,
    }[layer.merge]()


def stacked(layer: Any, cell: Any, context: Context, x: Any) -> Any:
    weights = context.weights
    first = recurrence(layer, cell, "first_", weights, x)
    second = recurrence(layer, cell, "second_", weights, first)
    return second if layer.return_sequences else second[:, -1, :]


def attention(
    q: Any, k: Any, v: Any, scale: Any, causal: bool, padded: int = 0, added: int = 0
) -> Any:
    """One head, a query at a time: q, k (N, T, d) and v (N, T, e) -> (N, T, e)."""
    outputs = []
    for t in range(q.shape[1]):
        behind = k.shape[1] - added
        last = behind - padded
        seen = [*range(min(t + 1, last) if causal else last), *range(behind, k.shape[1])]
        scores = np.sum(q[:, t : t + 1, :] * k[:, seen, :], axis=-1) * scale
        outputs.append(np.sum(softmax(scores)[:, :, None] * v[:, seen, :], axis=1))
    return np.stack(outputs, axis=1)


def root_scale(x: Any, size: int) -> Any:
    return constant(x, lambda: 1 / mp.sqrt(size))


def dot_product_attention(layer: Any, context: Context, x: Any) -> Any:
    scale = root_scale(x, x.shape[-1]) if layer.scaled else 1.0
    return attention(x, x, x, scale, layer.causal)


def heads_of_attention(
    layer: Any, w: Mapping[str, Any], prefix: str, x: Any, memory: Any = None
) -> Any:
    """A head at a time; what they say is summed up through their parts of the output kernel."""
    total = 0.0
    for head in range(layer.heads):
        parts = []
        for name in ("query", "key", "value"):
            source = x if name == "query" or memory is None else memory
            y = np.dot(source, w[f"{prefix}{name}_kernel"][:, head, :])
            bias = w.get(f"{prefix}{name}_bias")
            parts.append(y if bias is None else y + bias[head])
        causal, padded = getattr(layer, "causal", False), getattr(layer, "padded", 0)
        said = attention(*parts, root_scale(x, layer.key_size), causal, padded)
        total = total + np.dot(said, w[f"{prefix}output_kernel"][head])
    return total + w.get(f"{prefix}output_bias", 0.0)


def heads_side_by_side(layer: Any, q: Any, k: Any, v: Any) -> Any:
    """Heads that each have a stretch of the features."""
    size = q.shape[-1] // layer.heads
    causal, padded = getattr(layer, "causal", False), getattr(layer, "padded", 0)
    heads = []
    for start in range(0, q.shape[-1], size):
        parts = (source[..., start : start + size] for source in (q, k, v))
        added = getattr(layer, "added_bias", False) + getattr(layer, "added_zeros", False)
        heads.append(attention(*parts, root_scale(q, size), causal, padded, added))
    return np.concatenate(heads, axis=-1)


def packed_attention(layer: Any, w: Mapping[str, Any], prefix: str, *sources: Any) -> Any:
    """Of queries, keys and values, by a kernel and a bias that hold the three side by side."""
    n, made = sources[0].shape[-1], []
    for number, (name, source) in enumerate(zip(("query", "key", "value"), sources, strict=True)):
        columns = slice(number * n, (number + 1) * n)
        own = f"{prefix}{name}_kernel"
        kernel = w[own] if own in w else w[f"{prefix}packed_kernel"][:, columns]
        bias = w.get(f"{prefix}packed_bias")
        made.append(np.dot(source, kernel) + (0.0 if bias is None else bias[columns]))
    for number, name in ((1, "key_bias"), (2, "value_bias")):
        rows = [w[name]] if name in w else []
        if getattr(layer, "added_zeros", False):
            rows.append(numpy.zeros(n))
        for row in rows:
            wide = np.zeros((len(made[number]), 1, n)) + row
            made[number] = np.concatenate([made[number], wide], axis=1)
    y = np.dot(heads_side_by_side(layer, *made), w[f"{prefix}output_kernel"])
    return y + w.get(f"{prefix}output_bias", 0.0)


def packed_multi_head_attention(layer: Any, context: Context, x: Any) -> Any:
    return packed_attention(layer, context.weights, "", x, x, x)


def packed_cross_attention(layer: Any, context: Context, x: Any, *memory: Any) -> Any:
    return packed_attention(layer, context.weights, "", x, memory[0], memory[-1])


def encoder(attended: Callable[..., Any]) -> Callable[..., Any]:
    """A block around some attention: (hyperparameters, weights, a value) -> a value."""

    def forward(layer: Any, context: Context, x: Any) -> Any:
        w = context.weights

        def norm(place: str, y: Any) -> Any:
            centred = y - np.mean(y, axis=-1, keepdims=True)
            deviation = np.sqrt(np.mean(np.square(centred), axis=-1, keepdims=True) + layer.epsilon)
            return centred / deviation * w[f"{place}_norm_gamma"] + w.get(f"{place}_norm_beta", 0.0)

        def two_layers(y: Any) -> Any:
            z = np.dot(y, w["up_kernel"]) + w.get("up_bias", 0.0)
            z = relu(z) if layer.activation == "relu" else gelu(z, False)
            return np.dot(z, w["down_kernel"]) + w.get("down_bias", 0.0)

        if layer.norm_first:
            x = x + attended(layer, w, norm("attention", x))
            return x + two_layers(norm("dense", x))
        x = norm("attention", x + attended(layer, w, x))
        return norm("dense", x + two_layers(x))

    return forward


transformer_encoder = encoder(lambda layer, w, x: heads_of_attention(layer, w, "attention_", x))
packed_transformer_encoder = encoder(
    lambda layer, w, x: packed_attention(layer, w, "attention_", x, x, x)
)


def multiply(*xs: Any) -> Any:
    product = xs[0]
    for x in xs[1:]:
        product = product * x
    return product


#: kind -> the layer: (hyperparameters, context, *inputs) -> output. Inputs carry the batch axis.
LAYER_FORWARDS: dict[str, Callable[..., Any]] = {
    "dense": dense,
    "relu": lambda layer, context, x: relu(x),
    "leaky_relu": lambda layer, context, x: np.where(x > 0, x, layer.negative_slope * x),
    "elu": lambda layer, context, x: elu(x, layer.alpha),
    "gelu": lambda layer, context, x: gelu(x, layer.approximate),
    "silu": lambda layer, context, x: x * sigmoid(x),
    "softplus": softplus_layer,
    "tanh": lambda layer, context, x: np.tanh(x),
    "sigmoid": lambda layer, context, x: sigmoid(x),
    "softmax": lambda layer, context, x: softmax(x, layer.axis),
    "log_softmax": lambda layer, context, x: log_softmax(x, layer.axis),
    "log_sigmoid": lambda layer, context, x: -softplus(-x),
    "softsign": lambda layer, context, x: softsign(x),
    "tanhshrink": lambda layer, context, x: x - np.tanh(x),
    "mish": lambda layer, context, x: x * np.tanh(softplus(x)),
    "selu": selu,
    "celu": celu,
    "glu": glu,
    "relu6": lambda layer, context, x: clip(x, 0.0, 6.0),
    "hard_tanh": hard_tanh,
    "hard_sigmoid": lambda layer, context, x: hard_sigmoid(x),
    "hard_silu": lambda layer, context, x: x * hard_sigmoid(x),
    "softshrink": softshrink,
    "hard_shrink": hard_shrink,
    "prelu": prelu,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    "unit_normalization": lambda layer, context, x: directions(x, layer.axes, 1e-12),
    "spatial_dropout1d": lambda layer, context, x: x,
    "spatial_dropout2d": lambda layer, context, x: x,
    "alpha_dropout": lambda layer, context, x: x,
    "gaussian_noise": lambda layer, context, x: x,
    "subtract": lambda layer, context, a, b: a - b,
    "average": average,
    "maximum": maximum,
    "minimum": minimum,
    "dot": dot,
    "lora_dense": lora_dense,
    "lora_embedding": lora_embedding,
    "lora_conv2d": lora_conv2d,
    "dense_with_lora": with_lora(dense, "kernel"),
    "embedding_with_lora": with_lora(embedding, "embeddings"),
    "conv1d_with_lora": with_lora(conv1d, "kernel"),
    "conv2d_with_lora": with_lora(conv2d, "kernel"),
    "conv3d_with_lora": with_lora(conv3d, "kernel"),
    "prompt_tokens": lambda layer, context, x: in_front(context.weights["tokens"], x),
    "prefix_attention": prefix_attention,
    "bottleneck": bottleneck,
    "weight_norm_dense": weight_norm_dense,
    "weight_norm_conv2d": weight_norm_conv2d,
    "squeeze_excite": squeeze_excite,
    "spectral_norm_dense": lambda layer, context, x: biased(
        layer, context, np.matmul(x, spectral(layer, context))
    ),
    "spectral_norm_conv2d": spectral_norm_conv2d,
    "spectral_normalization_dense": spectral_normalization_dense,
    "spectral_normalization_conv2d": spectral_normalization_conv2d,
    "film": film,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "dropout": lambda layer, context, x: x,
    "conv2d": conv2d,
    "max_pool2d": max_pool,
    "avg_pool2d": avg_pool,
    "global_avg_pool2d": lambda layer, context, x: np.mean(x, axis=(1, 2)),
    "global_avg_pool1d": lambda layer, context, x: np.mean(x, axis=1),
    "depthwise_conv2d": depthwise_conv2d,
    "separable_conv2d": separable_conv2d,
    "depthwise_conv1d": depthwise_conv1d,
    "separable_conv1d": separable_conv1d,
    "conv1d": conv1d,
    "conv2d_transpose": conv_transpose,
    "conv3d_transpose": conv_transpose,
    "conv1d_transpose": conv1d_transpose,
    "conv3d": conv3d,
    "global_avg_pool3d": lambda layer, context, x: np.mean(x, axis=(1, 2, 3)),
    "global_max_pool3d": global_max,
    "max_pool1d": max_pool,
    "avg_pool1d": avg_pool,
    "global_max_pool2d": global_max,
    "global_max_pool1d": global_max,
    "up_sampling2d": up_sampling2d,
    "up_sampling1d": lambda layer, context, x: stretched(x, 1, layer.size, layer),
    "zero_padding2d": lambda layer, context, x: zeros_around(x, *layer.padding),
    "zero_padding1d": lambda layer, context, x: zeros_around(x, layer.padding),
    "cropping2d": lambda layer, context, x: cropped(x, *layer.cropping),
    "cropping1d": lambda layer, context, x: cropped(x, layer.cropping),
    "permute": lambda layer, context, x: np.transpose(x, (0, *layer.dims)),
    "repeat_vector": lambda layer, context, x: np.stack([x] * layer.times, axis=1),
    "slice": part,
    "simple_rnn": recurrent(elman),
    "lstm": recurrent(long_short_term),
    "gru": recurrent(gated),
    "bidirectional_lstm": lambda layer, context, x: both_ends(layer, long_short_term, context, x),
    "stacked_lstm": lambda layer, context, x: stacked(layer, long_short_term, context, x),
    "bidirectional_gru": lambda layer, context, x: both_ends(layer, gated, context, x),
    "stacked_gru": lambda layer, context, x: stacked(layer, gated, context, x),
    "bidirectional_simple_rnn": lambda layer, context, x: both_ends(layer, elman, context, x),
    "stacked_simple_rnn": lambda layer, context, x: stacked(layer, elman, context, x),
    "dot_product_attention": dot_product_attention,
    "multi_head_attention": lambda layer, context, x: heads_of_attention(
        layer, context.weights, "", x
    ),
    "cross_attention": lambda layer, context, x, memory: heads_of_attention(
        layer, context.weights, "", x, memory
    ),
    "packed_multi_head_attention": packed_multi_head_attention,
    "packed_cross_attention": packed_cross_attention,
    "packed_transformer_encoder": packed_transformer_encoder,
    "transformer_encoder": transformer_encoder,
    "embedding": embedding,
    "positional_embedding": lambda layer, context, x: x + context.weights["embeddings"],
    "tied_embedding": tied_embedding,
    "masked_mean": masked_mean,
    "masked_simple_rnn": skipping(elman),
    "masked_lstm": skipping(long_short_term),
    "masked_gru": skipping(gated),
    "padded_simple_rnn": skipping(elman),
    "padded_lstm": skipping(long_short_term),
    "padded_gru": skipping(gated),
    "flatten": lambda layer, context, x: np.reshape(x, (x.shape[0], -1)),
    "reshape": lambda layer, context, x: np.reshape(x, (x.shape[0], *layer.shape)),
    "add": lambda layer, context, *xs: sum(xs[1:], xs[0]),
    "multiply": lambda layer, context, *xs: multiply(*xs),
    "concatenate": lambda layer, context, *xs: np.concatenate(
        xs, axis=-1 if layer.axis == "last" else 1
    ),
    "split": lambda layer, context, x: np.split(
        x, layer.parts, axis=-1 if layer.axis == "last" else 1
    )[layer.part],
    "projection": projection,
}

# --- losses -------------------------------------------------------------------------------------
# Each takes an output (N, ..., C) and its target, and gives a value for each element or position.


def absolute(x: Any) -> Any:
    """By its branches: the slope of autograd's abs is x / |x|, and is rounded once more by it."""
    return np.where(x > 0, x, np.where(x < 0, -x, 0.0 * x))


def huber(y: Any, target: Any, delta: float) -> Any:
    size = absolute(y - target)
    return np.where(size <= delta, 0.5 * np.square(y - target), delta * (size - 0.5 * delta))


def one_hot(logits: Any, target: Any) -> Any:
    return (numpy.arange(logits.shape[-1]) == numpy.asarray(target)[..., None]).astype(float)


def cross_entropy(logits: Any, target: Any) -> Any:
    """Against a distribution over the classes."""
    return -np.sum(target * log_softmax(logits), axis=-1)


def smoothed_cross_entropy(logits: Any, target: Any, smoothing: float) -> Any:
    chosen = (1.0 - smoothing) * one_hot(logits, target)
    return cross_entropy(logits, chosen + smoothing / logits.shape[-1])


def bounded(p: Any, backend: str) -> Any:
    if backend == "torch":
        return p
    return np.where(p < 1e-7, 1e-7, np.where(p > 1.0 - 1e-7, 1.0 - 1e-7, p))


def likelihood(logits: Any, target: Any, backend: str) -> Any:
    log_p = np.log(bounded(softmax(logits), backend))
    if backend != "torch":
        log_p = log_softmax(log_p)
    return -np.sum(log_p * one_hot(logits, target), axis=-1)


def dense_likelihood(logits: Any, target: Any, backend: str) -> Any:
    p = softmax(logits)
    if backend != "torch":  # Keras divides by the sum, and what p loses in rounding cancels
        p = p / np.sum(p, axis=-1, keepdims=True)
    return -np.sum(np.log(bounded(p, backend)) * target, axis=-1)


def _float_sigmoid(x: Any) -> Any:
    e = numpy.exp(-numpy.abs(x))
    return numpy.where(x > 0, 1.0 / (1.0 + e), e / (1.0 + e))


@primitive
def likelihood_of(logits: Any, target: Any) -> Any:
    """As torch documents BCELoss: each logarithm is at least -100."""
    p = _float_sigmoid(logits)
    with numpy.errstate(divide="ignore"):
        one, other = numpy.maximum(numpy.log(p), -100.0), numpy.maximum(numpy.log1p(-p), -100.0)
    return -(target * one + (1.0 - target) * other)


#: Its backward pass divides by no less than this, a float (ATen/native/Loss.cpp).
_LEAST_SLOPE = float(numpy.float32(1e-12))


def _likelihood_vjp(answer: Any, logits: Any, target: Any) -> Callable[[Any], Any]:
    """What is lost of 1 - p where p is near 1 is lost alike in both slopes, and cancels."""
    p = _float_sigmoid(logits)
    slope = p * (1.0 - p)
    return lambda g: g * (p - target) / numpy.maximum(slope, _LEAST_SLOPE) * slope


defvjp(likelihood_of, _likelihood_vjp, None)


def binary_likelihood(logits: Any, target: Any, backend: str) -> Any:
    if backend == "torch" and getval(logits).dtype != object:
        return likelihood_of(logits, target)
    p, q = bounded(sigmoid(logits), backend), bounded(sigmoid(-logits), backend)
    return -(target * np.log(p) + (1.0 - target) * np.log(q))


def kl_divergence(logits: Any, target: Any, backend: str) -> Any:
    if backend == "torch":
        known = numpy.asarray(target, dtype=float)
        entropy = numpy.where(known > 0, known * numpy.log(numpy.where(known > 0, known, 1.0)), 0.0)
        return np.sum(entropy - target * log_softmax(logits), axis=-1)
    t = numpy.maximum(target, 1e-7)
    p = softmax(logits)
    return np.sum(t * np.log(t / np.where(p < 1e-7, 1e-7, p)), axis=-1)


def cosine(y: Any, target: Any) -> Any:
    lengths = np.sqrt(np.sum(y * y, axis=-1) * np.sum(target * target, axis=-1))
    return -np.sum(y * target, axis=-1) / lengths


def margin(y: Any, target: Any) -> Any:
    m = 1.0 - target * y
    return np.where(m >= 0, m, 0.0 * m)


ELEMENTWISE_LOSSES = (
    *("mse", "mae", "huber", "hinge", "squared_hinge"),
    *("binary_cross_entropy", "binary_likelihood"),
)

LOSS_FORWARDS: dict[str, Callable[[Any, Any, str, Any], Any]] = {
    "mse": lambda y, target, backend, term: np.square(y - target),
    "mae": lambda y, target, backend, term: absolute(y - target),
    "huber": lambda y, target, backend, term: huber(y, target, term.delta),
    "cross_entropy": lambda z, target, backend, term: cross_entropy(z, one_hot(z, target)),
    "smoothed_cross_entropy": lambda z, target, backend, term: smoothed_cross_entropy(
        z, target, term.smoothing
    ),
    "dense_cross_entropy": lambda z, target, backend, term: cross_entropy(z, target),
    "likelihood": lambda z, target, backend, term: likelihood(z, target, backend),
    "dense_likelihood": lambda z, target, backend, term: dense_likelihood(z, target, backend),
    "binary_cross_entropy": lambda z, target, backend, term: softplus(z) - target * z,
    "binary_likelihood": lambda z, target, backend, term: binary_likelihood(z, target, backend),
    "kl_divergence": lambda z, target, backend, term: kl_divergence(z, target, backend),
    "cosine": lambda y, target, backend, term: cosine(y, target),
    "hinge": lambda y, target, backend, term: margin(y, target),
    "squared_hinge": lambda y, target, backend, term: np.square(margin(y, target)),
}

# --- networks -----------------------------------------------------------------------------------


@dataclass
class Network:
    """The loss of one batch of a case, as a function of the weights and the inputs."""

    case: Case
    backend: str
    batch: int
    flagged: frozenset[str] = frozenset()
    dtype: Any = numpy.float64
    state: dict[str, Any] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()  # the weights that are, whatever says so

    def loss(self, weights: Mapping[str, Any]) -> Any:
        """`weights` holds the trainable parameters, and "input_N" for inputs that are not indices.

        Afterwards `state` holds every other parameter as the forward pass left it, and the weights
        that it has rewritten.
        """
        batch = self.case.batches[self.batch]
        self.state = {
            name: array.astype(self.dtype)
            for name, array in self.case.weights.items()
            if name not in weights
        }
        inputs = [weights.get(f"input_{i}", x) for i, x in enumerate(batch.inputs)]
        architecture = self.case.architecture
        values = self._block(architecture.network, "", inputs, weights)
        outputs = [values[-1], *(values[tap] for tap in architecture.taps)]
        total: Any = 0.0
        for term, target, held in zip(
            self.case.objective, batch.targets, batch.weights, strict=True
        ):
            given = target if target.ndim < outputs[term.output].ndim else target.astype(self.dtype)
            losses = LOSS_FORWARDS[term.loss](outputs[term.output], given, self.backend, term)
            total = total + term.weight * self._one_number(term, losses, held)
        for name, penalty in self.case.penalties.items():
            held = self.state.get(name)
            weight = rewritten(weights[name], held) if name in weights else held
            if penalty.kind != "l2":
                total = total + penalty.factor * np.sum(absolute(weight))
            if penalty.kind != "l1":
                factor = penalty.factor if penalty.kind == "l2" else penalty.second
                total = total + factor * np.sum(weight**2)
        return total

    def _one_number(self, term: Any, losses: Any, held: Any) -> Any:
        if term.reduction == "batchmean":
            return np.sum(losses) / losses.shape[0]
        if held is None and term.reduction != "sum":
            return np.mean(losses)
        if held is None and self.backend == "torch":
            return np.sum(losses)
        if term.loss in ELEMENTWISE_LOSSES:
            losses = np.mean(losses, axis=-1)
        if held is None:
            return np.sum(losses)
        weights = held.astype(self.dtype)
        total = np.sum(losses * weights)
        if term.reduction == "sum":
            return total
        return total / (np.sum(weights) if term.weighting == "mask" else weights.size)

    def leaves(self) -> dict[str, Any]:
        """All that a gradient can be taken by."""
        case = self.case
        leaves = {name: case.weights[name] for name in case.architecture.weights}
        for i, spec in enumerate(case.architecture.inputs):
            if spec.vocabulary is None:
                leaves[f"input_{i}"] = case.batches[self.batch].inputs[i]
        return {name: array.astype(self.dtype) for name, array in leaves.items()}

    def _block(self, block: Block, path: str, inputs: list[Any], weights: Mapping[str, Any]) -> Any:
        values = list(inputs)
        for node in block.nodes:
            member: Any = block.members[node.member]
            inner = ".".join(filter(None, (path, f"{member.kind}_{node.member}")))
            xs = [values[i] for i in node.inputs]
            if isinstance(member, Block):
                values.append(self._block(member, inner, xs, weights)[-1])
            else:
                values.append(self._layer(member, inner, xs, weights))
        return values

    def _layer(self, layer: Any, path: str, xs: list[Any], weights: Mapping[str, Any]) -> Any:
        def own(arrays: Mapping[str, Any]) -> dict[str, Any]:
            named = (name.rpartition(".") for name in arrays)
            return {last: arrays[f"{path}.{last}"] for head, _, last in named if head == path}

        context = Context(
            self.backend,
            self.case.training,
            path in self.flagged,
            own(weights),
            own(self.state),
            f"{path}.kernel" in self.frozen,
        )
        y = LAYER_FORWARDS[layer.kind](layer, context, *xs)
        self.state.update({f"{path}.{name}": value for name, value in context.state.items()})
        return y
