"""Transposed convolution over images and sequences: the adjoint of a convolution in its input.

Every element of the input puts its multiple of the kernel into the result, `strides` apart, where
they add up (Zeiler et al. 2010, "Deconvolutional networks"; Dumoulin & Visin, arXiv 1603.07285).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.convolution import (
    Image,
    Series,
    as_image,
    as_series,
    needs_of,
)
from invariants.oracle.primitives import Pair
from invariants.oracle.tape import Value


def extent_of(extent: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """How long the result is, as Keras has it.

    Where the kernel reaches less far than a stride, its last elements are met by no input.
    """
    reach = (kernel - 1) * dilation + 1
    return extent * stride + (max(reach - stride, 0) if padding == "valid" else 0)


def cropped(kernel: int, stride: int, dilation: int, padding: str) -> Pair:
    """How many elements "same" takes off before and after: those that a convolution pads."""
    total = max((kernel - 1) * dilation + 1 - stride, 0) if padding == "same" else 0
    return total // 2, total - total // 2


def draw_dilation(choice: Choice, strided: bool) -> tuple[int, ...]:
    """What a dilation is drawn from: beyond 1 only where that is offered."""
    offered = True in choice.offered("dilated_transposed") and (
        not strided or True in choice.offered("dilated_strides")
    )
    return (1, 1, 1, 2) if offered else (1,)


def needs_of_transposed(strides: Sequence[int], dilation: Sequence[int]) -> Mapping[str, Any]:
    """What a backend must offer for these strides together with this dilation."""
    dilated = {"dilated_transposed": True} if max(dilation) > 1 else {}
    return {**dilated, **needs_of(strides, dilation)}


def transposed(
    x: Value, kernel: Value, strides: Pair, dilation: Pair, padding: tuple[str, str]
) -> Value:
    """(N, H, W, C) with a kernel (KH, KW, filters, C) -> (N, OH, OW, filters)."""
    kh, kw, filters, channels = kernel.shape
    weight = kernel.apply("permute", axes=(3, 0, 1, 2)).reshape(channels, kh * kw * filters)
    columns = (x @ weight).reshape(*x.shape[:3], kh * kw, filters)
    extents = list(zip(x.shape[1:3], (kh, kw), strides, dilation, padding, strict=True))
    crops = [cropped(*extent[1:]) for extent in extents]
    full = tuple(extent_of(*e) + sum(crop) for e, crop in zip(extents, crops, strict=True))
    y = columns.apply("overlap", size=full, kernel=(kh, kw), strides=strides, dilation=dilation)
    for axis, extent, (before, after) in zip((-3, -2), full, crops, strict=True):
        if before + after:
            y = y.apply("slice", start=before, stop=extent - after, axis=axis)
    return y


@dataclass(frozen=True, kw_only=True)
class Conv2DTranspose(Image):
    """(H, W, C) -> (OH, OW, filters), the kernel of shape (KH, KW, filters, C)."""

    kind: Literal["conv2d_transpose"] = "conv2d_transpose"
    frequency: ClassVar[int] = 3
    filters: Size = 1
    kernel_size: tuple[Size, Size] = (1, 1)
    strides: tuple[Size, Size] = (1, 1)
    padding: Literal["valid", "same"] = "valid"
    dilation: tuple[Size, Size] = (1, 1)
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv2DTranspose:
        strides = (choice.integer(1, 2), choice.integer(1, 2))
        dilations = draw_dilation(choice, max(strides) > 1)
        return cls(
            filters=choice.integer(1, 2),
            kernel_size=(choice.integer(1, 3), choice.integer(1, 3)),
            strides=strides,
            padding=choice.one_of(("valid", "same")),
            dilation=(choice.one_of(dilations), choice.one_of(dilations)),
            use_bias=not choice.boolean(),
        )

    def needs(self) -> Mapping[str, Any]:
        return needs_of_transposed(self.strides, self.dilation)

    def spatial(self, spec: Spec) -> Pair:
        """Height and width of the result."""
        extents = zip(spec.shape[:2], self.kernel_size, self.strides, self.dilation, strict=True)
        h, w = (extent_of(*e, self.padding) for e in extents)
        return h, w

    def crops(self) -> tuple[Pair, Pair]:
        """What is taken off before and after on each of the two spatial axes."""
        extents = zip(self.kernel_size, self.strides, self.dilation, strict=True)
        rows, columns = (cropped(*e, self.padding) for e in extents)
        return rows, columns

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        kernel = Parameter("kernel", (*self.kernel_size, self.filters, specs[0].shape[2]))
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        padding = (self.padding, self.padding)
        kernel = call.parameter("kernel")
        y = transposed(xs[0], kernel, self.strides, self.dilation, padding)
        return y + call.parameter("bias") if self.use_bias else y


@dataclass(frozen=True, kw_only=True)
class Conv1DTranspose(Series):
    """(T, F) -> (OT, filters), the kernel of shape (K, filters, F)."""

    kind: Literal["conv1d_transpose"] = "conv1d_transpose"
    frequency: ClassVar[int] = 3
    filters: Size = 1
    kernel_size: Size = 1
    strides: Size = 1
    padding: Literal["valid", "same"] = "valid"
    dilation: Size = 1
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv1DTranspose:
        stride = choice.integer(1, 3)
        return cls(
            filters=choice.integer(1, 3),
            kernel_size=choice.integer(1, 3),
            strides=stride,
            padding=choice.one_of(("valid", "same")),
            dilation=choice.one_of(draw_dilation(choice, stride > 1)),
            use_bias=not choice.boolean(),
        )

    def needs(self) -> Mapping[str, Any]:
        return needs_of_transposed((self.strides,), (self.dilation,))

    def extent(self, time: int) -> int:
        """How many steps the result has."""
        return extent_of(time, self.kernel_size, self.strides, self.dilation, self.padding)

    def crop(self) -> Pair:
        """What is taken off before and after."""
        return cropped(self.kernel_size, self.strides, self.dilation, self.padding)

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((self.extent(super().output(specs).shape[0]), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        kernel = Parameter("kernel", (self.kernel_size, self.filters, specs[0].shape[1]))
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        k, filters, features = call.parameter("kernel").shape
        kernel = call.parameter("kernel").reshape(k, 1, filters, features)
        strides, dilation = (self.strides, 1), (self.dilation, 1)
        y = transposed(as_image(xs[0]), kernel, strides, dilation, (self.padding, "valid"))
        return as_series(y) + call.parameter("bias") if self.use_bias else as_series(y)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Conv2DTranspose, Conv1DTranspose)
