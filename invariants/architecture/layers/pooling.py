"""Pooling over windows and over everything, of images (H, W, C) and sequences (T, F)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Size, Spec
from invariants.architecture.layers.convolution import (
    Image,
    Series,
    as_image,
    as_series,
)
from invariants.architecture.layers.windowed import padded, same_padding
from invariants.oracle.primitives import Pair, windows
from invariants.oracle.tape import Value

#: "same" puts a window at each multiple of the stride; "half" goes half a window beyond both ends;
#: "ceil" lets the last window reach beyond the end.
Padding = Literal["valid", "same", "half", "ceil"]


def edges(extent: int, size: int, stride: int, padding: str, dilation: int = 1) -> Pair:
    """How many places windows reach beyond the first and the last element."""
    if padding == "same":
        return same_padding(extent, size, stride)
    if padding == "half":
        return size // 2, size // 2
    if padding == "valid":
        return 0, 0
    reach = (size - 1) * dilation + 1
    count = -(-(extent - reach) // stride) + 1
    if (count - 1) * stride >= extent:
        count -= 1  # a window that begins beyond the end is none
    return 0, max((count - 1) * stride + reach - extent, 0)


def met(extent: int, size: int, stride: int, padding: str, counts_padding: bool) -> list[int]:
    """How many places each window counts: elements, and where it is said those of the padding."""
    before, after = edges(extent, size, stride, padding)
    starts = [stride * n - before for n in range(windows(before + extent + after, size, stride))]
    if counts_padding:
        return [min(start + size, extent + after) - start for start in starts]
    return [min(start + size, extent) - max(start, 0) for start in starts]


def _all_meet(count: int, extent: int, size: int, stride: int, before: int, dilation: int) -> bool:
    """Whether each of so many windows meets an element."""
    starts = range(-before, count * stride - before, stride)
    return all(any(0 <= start + n * dilation < extent for n in range(size)) for start in starts)


@dataclass(frozen=True, kw_only=True)
class _Pool(Layer):
    """What pools over windows have in common; a sequence counts as an image of one column."""

    padding: Padding = "valid"

    def needs(self) -> Mapping[str, Any]:
        return {"pool_paddings": self.padding}

    @classmethod
    def drawn_options(
        cls, choice: Choice, padding: str, extents: Sequence[int], sizes: Sequence[int]
    ) -> dict[str, Any]:
        """What it has beside windows of these sizes over axes of these extents."""
        return {}

    def window(self) -> tuple[Pair, Pair]:
        """The size of a window and the strides, of an image."""
        raise TypeError(f"{self.kind} has no window")

    def apart(self) -> Pair:
        """How far apart the elements of a window are, of an image."""
        return 1, 1

    def axes(self, spatial: Sequence[int]) -> Iterator[tuple[int, int, int, str, int]]:
        """(extent, size, stride, padding, dilation) of both axes of an image."""
        sizes, strides = self.window()
        paddings = (self.padding, self.padding if len(spatial) > 1 else "valid")
        yield from zip((*spatial, 1)[:2], sizes, strides, paddings, self.apart(), strict=True)

    def output(self, specs: Sequence[Spec]) -> Spec:
        *spatial, channels = super().output(specs).shape
        counts = []
        for axis in self.axes(spatial):
            extent, size, stride, _, dilation = axis
            before, after = edges(*axis)
            counts.append(windows(before + extent + after, size, stride, dilation))
            if dilation > 1 and not _all_meet(counts[-1], extent, size, stride, before, dilation):
                raise ShapeError(f"a window of the pool meets no element of {spatial}")
        if min(counts) < 1:
            raise ShapeError(f"a window of the pool is larger than {spatial}")
        return Spec((*counts[: len(spatial)], channels))

    def windows_of(self, x: Value) -> Value:
        """(N, H, W, C) -> (N, OH, OW, KH·KW, C), with zeros where a window meets no element."""
        rows, columns = (edges(*axis) for axis in self.axes(x.shape[1:-1]))
        sizes, strides = self.window()
        framed = padded(x, (rows, columns))
        return framed.apply("patches", kernel=sizes, strides=strides, dilation=self.apart())

    def largest(self, call: Call, x: Value) -> Value:
        """(N, H, W, C) -> (N, OH, OW, C), the largest element of each window."""
        held = self.windows_of(x)
        as_many = math.prod(held.shape[:3]) == math.prod(x.shape[:3])
        if as_many and call.contract["max_pool_tangent"] == "overwritten":
            held = self.windows_of(x.apply("unjudged"))
        if self.padding != "valid":
            met_ = self.windows_of(x.tape.constant(np.ones((1, 1, *x.shape[1:3], 1)))) - 0.5
            finite = x.data[np.isfinite(x.data)]  # what cannot be judged may be none
            lowest = x.tape.lift(float(finite.min(initial=0.0)) - 1.0)  # never the largest
            held = x.tape.apply("where_positive", met_, held, lowest)
        return held.apply("max", tie=call.contract["max_pool_tie"])

    def mean(self, x: Value, counts_padding: bool) -> Value:
        """(N, H, W, C) -> (N, OH, OW, C), the mean of the elements of each window."""
        if self.padding == "valid":
            return self.windows_of(x).mean(-2)
        rows, columns = (met(*axis[:4], counts_padding) for axis in self.axes(x.shape[1:3]))
        counts = np.outer(rows, columns).astype(np.float64)[None, None, :, :, None]
        return self.windows_of(x).sum(-2) / x.tape.constant(counts)


def _draw_window(choice: Choice, extent: int, padding: str) -> int:
    """Of one element, a window pools nothing."""
    most = min(3, extent) if padding in ("valid", "ceil") else 3
    return choice.one_of([size for size in (2, 2, 3, 3, 1) if size <= most])


def _draw_padding(choice: Choice) -> Padding:
    first, *others = choice.offered("pool_paddings")
    padding: Padding = choice.one_of((first, first, *others))
    return padding


@dataclass(frozen=True, kw_only=True)
class _Pool2D(_Pool, Image):
    pool_size: tuple[Size, Size] = (2, 2)
    strides: tuple[Size, Size] = (2, 2)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _Pool2D:
        padding = _draw_padding(choice)
        h, w, _ = specs[0].shape
        size = (_draw_window(choice, h, padding), _draw_window(choice, w, padding))
        strides = choice.one_of((size, (1, 1), (2, 1), (1, 3)))
        options = cls.drawn_options(choice, padding, (h, w), size)
        return cls(kind=cls.kind, pool_size=size, strides=strides, padding=padding, **options)

    def window(self) -> tuple[Pair, Pair]:
        return self.pool_size, self.strides


def _draw_dilation(choice: Choice, extents: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...]:
    """1 for the most part, or 2 for each axis where such a window fits, and where it is offered."""
    if True not in choice.offered("dilated_pools") or choice.integer(0, 2) < 2:
        return (1,) * len(sizes)
    return tuple(2 if 2 * k - 1 <= n else 1 for n, k in zip(extents, sizes, strict=True))


@dataclass(frozen=True, kw_only=True)
class MaxPool2D(_Pool2D):
    """The largest of each window; of equal ones the first takes the gradient.

    dilation: how far apart the elements of a window are.
    """

    kind: Literal["max_pool2d"] = "max_pool2d"
    dilation: tuple[Size, Size] = (1, 1)
    frequency: ClassVar[int] = 3

    @classmethod
    def drawn_options(
        cls, choice: Choice, padding: str, extents: Sequence[int], sizes: Sequence[int]
    ) -> dict[str, Any]:
        return {"dilation": _draw_dilation(choice, extents, sizes)}

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), **({"dilated_pools": True} if max(self.dilation) > 1 else {})}

    def apart(self) -> Pair:
        return self.dilation

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.largest(call, xs[0])


@dataclass(frozen=True, kw_only=True)
class _Averaging(_Pool):
    """counts_padding: whether what lies beyond the ends counts as zeros."""

    counts_padding: bool = False

    @classmethod
    def drawn_options(
        cls, choice: Choice, padding: str, extents: Sequence[int], sizes: Sequence[int]
    ) -> dict[str, Any]:
        return {"counts_padding": padding == "half" and choice.boolean()}

    def needs(self) -> Mapping[str, Any]:
        counting = {"pool_counts_padding": True} if self.counts_padding else {}
        return {**super().needs(), **counting}


@dataclass(frozen=True, kw_only=True)
class AvgPool2D(_Averaging, _Pool2D):
    """The mean of each window, or its sum divided by `divisor`."""

    kind: Literal["avg_pool2d"] = "avg_pool2d"
    divisor: Size | None = None

    @classmethod
    def drawn_options(
        cls, choice: Choice, padding: str, extents: Sequence[int], sizes: Sequence[int]
    ) -> dict[str, Any]:
        own = True in choice.offered("pool_divisor") and choice.integer(0, 3) == 3
        drawn = super().drawn_options(choice, padding, extents, sizes)
        return {**drawn, "divisor": choice.one_of((2, 3)) if own else None}

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), **({"pool_divisor": True} if self.divisor else {})}

    def forward(self, call: Call, *xs: Value) -> Value:
        if self.divisor:
            return self.windows_of(xs[0]).sum(-2) / float(self.divisor)
        return self.mean(xs[0], self.counts_padding)


@dataclass(frozen=True, kw_only=True)
class _Pool1D(_Pool, Series):
    pool_size: Size = 2
    strides: Size = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _Pool1D:
        padding = _draw_padding(choice)
        time = specs[0].shape[0]
        size = _draw_window(choice, time, padding)
        strides = choice.one_of((size, 1, 2, 3))
        options = cls.drawn_options(choice, padding, (time,), (size,))
        return cls(kind=cls.kind, pool_size=size, strides=strides, padding=padding, **options)

    def window(self) -> tuple[Pair, Pair]:
        return (self.pool_size, 1), (self.strides, 1)

    def axes(self, spatial: Sequence[int]) -> Iterator[tuple[int, int, int, str, int]]:
        yield from super().axes(spatial[:1])


@dataclass(frozen=True, kw_only=True)
class MaxPool1D(_Pool1D):
    """The largest of each window in time; of equal ones the first takes the gradient.

    dilation: how far apart the steps of a window are.
    """

    kind: Literal["max_pool1d"] = "max_pool1d"
    dilation: Size = 1
    frequency: ClassVar[int] = 2

    @classmethod
    def drawn_options(
        cls, choice: Choice, padding: str, extents: Sequence[int], sizes: Sequence[int]
    ) -> dict[str, Any]:
        return {"dilation": _draw_dilation(choice, extents, sizes)[0]}

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), **({"dilated_pools": True} if self.dilation > 1 else {})}

    def apart(self) -> Pair:
        return self.dilation, 1

    def forward(self, call: Call, *xs: Value) -> Value:
        return as_series(self.largest(call, as_image(xs[0])))


@dataclass(frozen=True, kw_only=True)
class AvgPool1D(_Averaging, _Pool1D):
    """The mean of each window in time."""

    kind: Literal["avg_pool1d"] = "avg_pool1d"

    def forward(self, call: Call, *xs: Value) -> Value:
        return as_series(self.mean(as_image(xs[0]), self.counts_padding))


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool2D(Image):
    """The mean over all positions: (H, W, C) -> (C,) (Lin et al. 2013, arXiv 1312.4400)."""

    kind: Literal["global_avg_pool2d"] = "global_avg_pool2d"

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[2:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].mean((-3, -2))


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool1D(Series):
    """The mean over time: (T, F) -> (F,)."""

    kind: Literal["global_avg_pool1d"] = "global_avg_pool1d"
    frequency: ClassVar[int] = 2

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[1:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].mean(-2)


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool2D(Image):
    """The largest over all positions, (H, W, C) -> (C,); how equal ones share is the contract's."""

    kind: Literal["global_max_pool2d"] = "global_max_pool2d"

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[2:])

    def forward(self, call: Call, *xs: Value) -> Value:
        n, h, w, c = xs[0].shape
        return xs[0].reshape(n, h * w, c).apply("max", tie=call.contract["global_max_tie"])


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool1D(Series):
    """The largest over time, (T, F) -> (F,); how equal ones share is the contract's."""

    kind: Literal["global_max_pool1d"] = "global_max_pool1d"

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[1:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("max", tie=call.contract["global_max_tie"])


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    MaxPool2D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    AvgPool1D,
    GlobalAvgPool1D,
    GlobalMaxPool1D,
)
