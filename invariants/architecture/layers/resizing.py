"""Layers that make images and sequences larger or smaller: upsampling, padding, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Size, Spec
from invariants.architecture.layers.convolution import Image, Series, describe_image
from invariants.oracle.tape import Value

Extent = Annotated[int, Field(ge=0, le=65536)]
Widths = tuple[Extent, Extent]


@dataclass(frozen=True, kw_only=True)
class UpSampling2D(Image):
    """Each element `size` times on both axes (nearest): (H, W, C) -> (H·SH, W·SW, C)."""

    kind: Literal["up_sampling2d"] = "up_sampling2d"
    size: tuple[Size, Size] = (2, 2)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> UpSampling2D:
        return cls(size=choice.one_of(((2, 2), (1, 2), (2, 1), (3, 2), (1, 3))))

    def output(self, specs: Sequence[Spec]) -> Spec:
        h, w, c = super().output(specs).shape
        return Spec((h * self.size[0], w * self.size[1], c))

    def forward(self, call: Call, *xs: Value) -> Value:
        (y,) = xs
        for axis, times in zip((-3, -2), self.size, strict=True):
            if times > 1:
                y = y.apply("repeat", axis=axis, times=times)
        return y


@dataclass(frozen=True, kw_only=True)
class UpSampling1D(Series):
    """Each step `size` times: (T, F) -> (T·size, F)."""

    kind: Literal["up_sampling1d"] = "up_sampling1d"
    size: Size = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> UpSampling1D:
        return cls(size=choice.integer(2, 3))

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        return Spec((time * self.size, features))

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("repeat", axis=-2, times=self.size)


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
