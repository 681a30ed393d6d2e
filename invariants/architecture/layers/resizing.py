"""Layers that make images and sequences larger or smaller: upsampling, padding, cropping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Extent,
    Layer,
    ShapeError,
    Size,
    Spec,
)
from invariants.architecture.layers.convolution import Image, Series, describe_image
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import PRECISIONS, Rounding
from invariants.oracle.tape import Value

FLOAT32_UNIT = PRECISIONS["float32"].unit_roundoff

Widths = tuple[Extent, Extent]


def _weights(rounding: Rounding, extent: int, size: int, aligned: bool) -> Array:
    """(S or 1, extent, extent·size): how much of each element goes into each of the result.

    An element of the result lies at a place among those of the input, and takes from its two
    neighbours by its distance from them. Its centre is at (i + 1/2) / size - 1/2 (half-pixel
    centres), or, aligned, the first and last of both lie on one another. Kernels compute places in
    float32 at least, where they round relative to the place and not to the weight, unless all
    places are binary fractions.
    """
    count = extent * size
    i = np.arange(count, dtype=np.float64)
    places = i * (extent - 1) / (count - 1) if aligned else (2.0 * i + 1.0 - size) / (2.0 * size)
    samples = places[None]
    if aligned or size not in (1, 2):
        ulps = min(FLOAT32_UNIT / rounding.unit, 1.0)
        samples = rounding.disturb(samples + 1.0, ulps) - 1.0
    inside = np.clip(samples, 0.0, extent - 1.0)[:, None]
    return np.maximum(1.0 - np.abs(inside - np.arange(extent)[:, None]), 0.0)


def _interpolated(x: Value, axis: int, size: int, aligned: bool) -> Value:
    """`x` linearly interpolated to `size` times its extent on an axis that counts from the end."""
    if size == 1:
        return x
    rank = len(x.shape)
    order = [*range(rank + axis), *range(rank + axis + 1, rank), rank + axis]
    weights = _weights(x.tape.rounding, x.shape[axis], size, aligned)
    y = x.apply("transpose", axes=tuple(order)) @ x.tape.constant(weights)
    return y.apply("transpose", axes=tuple(int(place) for place in np.argsort(order)))


def _up_sampled(x: Value, sizes: Mapping[int, int], layer: Any, call: Call) -> Value:
    """`x` made larger on the axes of `sizes`, which count from the end."""
    if layer.interpolation == "nearest":
        for axis, size in sizes.items():
            if size > 1:
                x = x.apply("repeat", axis=axis, times=size)
        return x
    if call.contract["interpolation_curvature"] == "dropped":
        x = x.apply("differentiated_once")
    if call.contract["interpolation_tangent"] == "dropped":
        x = x.tape.constant(x.data)
    rounding = x.tape.rounding
    if call.contract["interpolation_precision"] != "float32" or rounding.unit > FLOAT32_UNIT:
        return _interpolations(x, sizes, layer.align_corners)
    with x.tape.within(rounding.apart("float32")):  # whose range is smaller, too
        x = _interpolations(x.apply("narrowed"), sizes, layer.align_corners)
    return x.apply("widened")


def _interpolations(x: Value, sizes: Mapping[int, int], aligned: bool) -> Value:
    for axis, size in sizes.items():
        x = _interpolated(x, axis, size, aligned)
    return x


def _needs_of(layer: Any) -> Mapping[str, Any]:
    return {"aligned_corners": True} if layer.align_corners else {}


@dataclass(frozen=True, kw_only=True)
class UpSampling2D(Image):
    """(H, W, C) -> (H·SH, W·SW, C): each element `size` times on both axes, or interpolated."""

    kind: Literal["up_sampling2d"] = "up_sampling2d"
    size: tuple[Size, Size] = (2, 2)
    interpolation: Literal["nearest", "bilinear"] = "nearest"
    align_corners: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> UpSampling2D:
        size = choice.one_of(((2, 2), (1, 2), (2, 1), (3, 2), (1, 3)))
        if not choice.boolean():
            return cls(size=size)
        aligned = choice.one_of(choice.offered("aligned_corners"))
        return cls(size=size, interpolation="bilinear", align_corners=aligned)

    def needs(self) -> Mapping[str, Any]:
        return _needs_of(self)

    def output(self, specs: Sequence[Spec]) -> Spec:
        h, w, c = super().output(specs).shape
        return Spec((h * self.size[0], w * self.size[1], c))

    def forward(self, call: Call, *xs: Value) -> Value:
        return _up_sampled(xs[0], dict(zip((-3, -2), self.size, strict=True)), self, call)


@dataclass(frozen=True, kw_only=True)
class UpSampling1D(Series):
    """(T, F) -> (T·size, F): each step `size` times, or interpolated."""

    kind: Literal["up_sampling1d"] = "up_sampling1d"
    size: Size = 2
    interpolation: Literal["nearest", "linear"] = "nearest"
    align_corners: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> UpSampling1D:
        size = choice.integer(2, 3)
        interpolation = choice.one_of(choice.offered("up_sampling1d_interpolations"))
        if interpolation == "nearest":
            return cls(size=size)
        aligned = choice.one_of(choice.offered("aligned_corners"))
        return cls(size=size, interpolation=interpolation, align_corners=aligned)

    def needs(self) -> Mapping[str, Any]:
        linear = self.interpolation != "nearest"
        return {
            **({"up_sampling1d_interpolations": self.interpolation} if linear else {}),
            **_needs_of(self),
        }

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        return Spec((time * self.size, features))

    def forward(self, call: Call, *xs: Value) -> Value:
        return _up_sampled(xs[0], {-2: self.size}, self, call)


@dataclass(frozen=True, kw_only=True)
class ZeroPadding2D(Image):
    """Zeros around an image: (H, W, C) -> (B + H + A, B' + W + A', C)."""

    kind: Literal["zero_padding2d"] = "zero_padding2d"
    padding: tuple[Widths, Widths] = ((1, 1), (1, 1))

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> ZeroPadding2D:
        rows, columns = (choice.one_of(((1, 1), (0, 1), (1, 0), (0, 0), (2, 1))) for _ in range(2))
        return cls(padding=(rows, columns if sum(rows + columns) else (0, 1)))

    def output(self, specs: Sequence[Spec]) -> Spec:
        h, w, c = super().output(specs).shape
        rows, columns = self.padding
        return Spec((h + sum(rows), w + sum(columns), c))

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("pad", widths=((0, 0), *self.padding, (0, 0)))


@dataclass(frozen=True, kw_only=True)
class ZeroPadding1D(Series):
    """Zeros before and after: (T, F) -> (B + T + A, F)."""

    kind: Literal["zero_padding1d"] = "zero_padding1d"
    padding: Widths = (1, 1)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> ZeroPadding1D:
        return cls(padding=choice.one_of(((1, 1), (0, 1), (1, 0), (2, 1))))

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        return Spec((time + sum(self.padding), features))

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("pad", widths=((0, 0), self.padding, (0, 0)))


def _kept(x: Value, axis: int, widths: Widths) -> Value:
    """`x` without its first and last elements on an axis that counts from the end."""
    if not any(widths):
        return x
    return x.apply("slice", start=widths[0], stop=x.shape[axis] - widths[1], axis=axis)


def _draw_crop(choice: Choice, extent: int) -> Widths:
    """Leaves one element at least."""
    if extent == 1:
        return 0, 0
    return choice.one_of(((0, 1), (1, 0), (0, 0), *(((1, 1),) if extent > 2 else ())))


@dataclass(frozen=True, kw_only=True)
class Cropping2D(Image):
    """The inner part of an image: (H, W, C) -> (H - B - A, W - B' - A', C)."""

    kind: Literal["cropping2d"] = "cropping2d"
    cropping: tuple[Widths, Widths] = ((0, 0), (0, 0))

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Cropping2D:
        h, w, _ = specs[0].shape
        return cls(cropping=(_draw_crop(choice, h), _draw_crop(choice, w)))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        h, w = (n - sum(c) for n, c in zip(spec.shape[:2], self.cropping, strict=True))
        if min(h, w) < 1:
            raise ShapeError(
                f"cropping by {self.cropping} leaves nothing of {describe_image(spec)}"
            )
        return Spec((h, w, spec.shape[2]))

    def forward(self, call: Call, *xs: Value) -> Value:
        rows, columns = self.cropping
        return _kept(_kept(xs[0], -3, rows), -2, columns)


@dataclass(frozen=True, kw_only=True)
class Cropping1D(Series):
    """The inner part of a sequence: (T, F) -> (T - B - A, F)."""

    kind: Literal["cropping1d"] = "cropping1d"
    cropping: Widths = (0, 0)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Cropping1D:
        return cls(cropping=_draw_crop(choice, specs[0].shape[0]))

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        if time <= sum(self.cropping):
            raise ShapeError(f"cropping by {self.cropping} leaves nothing of {time} steps")
        return Spec((time - sum(self.cropping), features))

    def forward(self, call: Call, *xs: Value) -> Value:
        return _kept(xs[0], -2, self.cropping)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    UpSampling2D,
    UpSampling1D,
    ZeroPadding2D,
    ZeroPadding1D,
    Cropping2D,
    Cropping1D,
)
