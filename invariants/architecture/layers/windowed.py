"""Kernels that are moved over one axis, two or three: what goes around a value, and what fits.

The rule is one for all of them; a layer over a single axis has plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Spec
from invariants.oracle.primitives import Pair, windows
from invariants.oracle.tape import Value

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

#: What goes around a value -> the name that NumPy has for it.
_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def each(value: Any) -> tuple[int, ...]:
    """A number for each axis."""
    return value if isinstance(value, tuple) else (value,)


def same_padding(extent: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Zeros before and after, so that ceil(extent / stride) windows fit.

    TensorFlow's rule, https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2; the odd
    zero goes after. torch's padding="same" gives the same for stride 1, the only one it takes.
    """
    reach = (kernel - 1) * dilation + 1
    total = max((-(-extent // stride) - 1) * stride + reach - extent, 0)
    return total // 2, total - total // 2


def draw_dilations(
    choice: Choice, extents: Sequence[int], kernel: Sequence[int], strided: bool, padded: bool
) -> list[int]:
    """1, 2 or 3 for each axis, so that the windows fit; with strides only where that is offered."""
    if strided and True not in choice.offered("dilated_strides"):
        return [1] * len(kernel)
    return [
        choice.one_of([d for d in (1, 1, 1, 2, 3) if padded or d * (k - 1) < n]) if k > 1 else 1
        for n, k in zip(extents, kernel, strict=True)
    ]


def draw_stride(choice: Choice) -> int:
    return choice.one_of((1, 1, 2, 2, 3))


def draw_padding(choice: Choice, axes: int) -> Any:
    """ "valid", "same" or, where that is offered, zeros on both sides of each axis."""
    sized = ("sized",) if True in choice.offered("sized_padding") else ()
    padding = choice.one_of(("valid", "same", *sized))
    if padding != "sized":
        return padding
    return (choice.integer(1, 2), *(choice.integer(0, 2) for _ in range(axes - 1)))


def draw_padding_mode(
    choice: Choice, extents: Sequence[int], padding: Any, strided: bool
) -> PaddingMode:
    """What goes around, of what fits and is offered: zeros where a rule leaves it no choice."""
    if padding in ("valid", "causal") or (padding == "same" and strided):
        return "zeros"
    # Of "same" at most three elements go on a side: a kernel reaches over seven at most.
    widths = (3,) * len(extents) if padding == "same" else each(padding)
    fitting: list[PaddingMode] = [
        mode
        for mode in choice.offered("padding_modes")
        if all(n <= _most(mode, extent) for n, extent in zip(widths, extents, strict=True))
    ]
    return choice.one_of(["zeros", "zeros", *fitting])


def _most(mode: str, extent: int) -> float:
    """How many elements may go on a side: no more than there are to be mirrored or repeated."""
    return {"reflect": extent - 1, "circular": extent}.get(mode, np.inf)


def needs_of(strides: Sequence[int], dilation: Sequence[int]) -> Mapping[str, Any]:
    """What a backend must offer for these strides together with this dilation."""
    return {"dilated_strides": True} if max(strides) > 1 and max(dilation) > 1 else {}


def padded(x: Value, pads: Sequence[Pair], mode: str = "zeros") -> Value:
    """(N, ..., C) with so many elements before and after on each axis between."""
    if not any(map(any, pads)):
        return x
    if mode == "zeros":
        return x.apply("pad", widths=((0, 0), *pads, (0, 0)))
    for axis, widths in enumerate(pads, start=1):
        if any(widths):
            indices = np.pad(np.arange(x.shape[axis]), widths, mode=_MODES[mode])  # type: ignore[call-overload]
            x = _taken(x, axis, indices)
    return x


def _taken(x: Value, axis: int, indices: Any) -> Value:
    """The elements at `indices` of an axis; what is taken twice adds up on the way back."""
    first = (axis, *(n for n in range(len(x.shape)) if n != axis))
    count, *others = (x.shape[n] for n in first)
    rows = x.apply("transpose", axes=first).reshape(count, int(np.prod(others)))
    taken = rows.apply("take", indices=indices).reshape(len(indices), *others)
    return taken.apply("transpose", axes=tuple(int(n) for n in np.argsort(first)))


@dataclass(frozen=True, kw_only=True)
class Windowed(Layer):
    """A kernel that is moved over the axes before the channels.

    padding: a rule, or how many elements go on both sides of each axis. Causal: all of them go
    before, so that nothing looks ahead (van den Oord et al. 2016, arXiv 1609.03499). padding_mode:
    what they are: zeros, or elements of the value, mirrored, the outermost, or from the other end.
    """

    kernel_size: Any = ()
    strides: Any = ()
    padding: Any = "valid"
    dilation: Any = ()
    use_bias: bool = True
    padding_mode: PaddingMode = "zeros"

    @property
    def axes(self) -> list[tuple[int, int, int]]:
        """Kernel, stride and dilation of each axis."""
        sizes = (each(self.kernel_size), each(self.strides), each(self.dilation))
        return list(zip(*sizes, strict=True))

    def needs(self) -> Mapping[str, Any]:
        sized = {} if isinstance(self.padding, str) else {"sized_padding": True}
        mode = {} if self.padding_mode == "zeros" else {"padding_modes": self.padding_mode}
        return {**sized, **mode, **needs_of(each(self.strides), each(self.dilation))}

    def pads(self, spec: Spec) -> tuple[Pair, ...]:
        """How many elements go before and after on each axis."""
        if self.padding == "valid":
            return ((0, 0),) * len(self.axes)
        if self.padding == "causal":
            return tuple(((k - 1) * d, 0) for k, _, d in self.axes)
        if self.padding == "same":
            extents = zip(spec.shape, self.axes, strict=False)
            return tuple(same_padding(n, *axis) for n, axis in extents)
        return tuple((n, n) for n in each(self.padding))

    def spatial(self, spec: Spec) -> tuple[int, ...]:
        """The extents of the result; raises ShapeError where kernel or padding do not fit."""
        *extents, _ = spec.shape
        pads = self.pads(spec)
        self._check_mode(extents, pads)
        axes = zip(extents, pads, self.axes, strict=True)
        counts = tuple(windows(n + sum(around), *axis) for n, around, axis in axes)
        if min(counts) < 1:
            raise ShapeError(f"a kernel of {list(each(self.kernel_size))} is larger than {extents}")
        return counts

    def _check_mode(self, extents: Sequence[int], pads: Sequence[Pair]) -> None:
        mode = self.padding_mode
        if mode == "zeros":
            return
        strided = self.padding == "same" and max(each(self.strides)) > 1
        if self.padding in ("valid", "causal") or strided:
            raise ShapeError(f"padding {self.padding!r} is one with zeros, not with {mode!r}")
        for extent, around in zip(extents, pads, strict=True):
            if max(around) > _most(mode, extent):
                raise ShapeError(f"{max(around)} elements around {extent} cannot be of {mode!r}")

    def padded(self, x: Value) -> Value:
        return padded(x, self.pads(Spec(x.shape[1:])), self.padding_mode)

    def over_images(self, x: Value, kernel: Value) -> tuple[Value, Value, Pair, Pair]:
        """Value, kernel, strides and dilation, as they are over images."""
        return x, kernel, self.strides, self.dilation

    def of_images(self, y: Value) -> Value:
        """What came of them, as the layer gives it."""
        return y

    def with_bias(self, call: Call, y: Value) -> Value:
        return y + call.parameter("bias") if self.use_bias else y
