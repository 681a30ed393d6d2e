"""Convolutions in which each channel has kernels of its own, over images and sequences.

A separable one is followed by a kernel of one position (Chollet 2016, arXiv 1610.02357).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.convolution import (
    Windowed1D,
    Windowed2D,
    convolved,
)
from invariants.architecture.layers.windowed import Windowed, each
from invariants.oracle.primitives import Pair
from invariants.oracle.tape import Value


def convolved_by_channel(x: Value, kernel: Value, strides: Pair, dilation: Pair) -> Value:
    """(N, H, W, C) with a kernel (KH, KW, C, M), each channel by itself -> (N, OH, OW, C·M)."""
    kh, kw, channels, multiplier = kernel.shape
    patches = x.apply("patches", kernel=(kh, kw), strides=strides, dilation=dilation)
    windows_of_one = patches.reshape(*patches.shape, 1)
    products = windows_of_one * kernel.reshape(kh * kw, channels, multiplier)
    return products.sum(-3).reshape(*patches.shape[:3], channels * multiplier)


@dataclass(frozen=True, kw_only=True)
class Depthwise(Windowed):
    """A kernel of shape (*kernel_size, C, M): (..., C) -> (..., C·M)."""

    depth_multiplier: Size = 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        return Spec((*self.spatial(spec), spec.shape[-1] * self.depth_multiplier))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        channels, multiplier = specs[0].shape[-1], self.depth_multiplier
        kernel = Parameter("kernel", (*each(self.kernel_size), channels, multiplier))
        bias = Parameter("bias", (channels * multiplier,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        operands = self.over_images(self.padded(xs[0]), call.parameter("kernel"))
        return self.with_bias(call, self.of_images(convolved_by_channel(*operands)))


@dataclass(frozen=True, kw_only=True)
class Separable(Windowed):
    """Kernels (*kernel_size, C, M) and (1, ..., C·M, filters): (..., C) -> (..., filters)."""

    filters: Size = 1
    depth_multiplier: Size = 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        channels, multiplier = specs[0].shape[-1], self.depth_multiplier
        sizes = each(self.kernel_size)
        kernels = (
            Parameter("depthwise_kernel", (*sizes, channels, multiplier)),
            Parameter(
                "pointwise_kernel", (*(1 for _ in sizes), channels * multiplier, self.filters)
            ),
        )
        bias = Parameter("bias", (self.filters,), group="bias")
        return (*kernels, bias) if self.use_bias else kernels

    def forward(self, call: Call, *xs: Value) -> Value:
        operands = self.over_images(self.padded(xs[0]), call.parameter("depthwise_kernel"))
        y = convolved_by_channel(*operands)
        pointwise = call.parameter("pointwise_kernel").reshape(1, 1, y.shape[-1], self.filters)
        return self.with_bias(
            call, self.of_images(convolved(call, y, pointwise, 1, (1, 1), (1, 1)))
        )


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2D(Windowed2D, Depthwise):
    """Each channel of an image with kernels of its own."""

    kind: Literal["depthwise_conv2d"] = "depthwise_conv2d"
    frequency: ClassVar[int] = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> DepthwiseConv2D:
        return cls(depth_multiplier=choice.integer(1, 2), **cls.draw_windows(choice, specs[0]))


@dataclass(frozen=True, kw_only=True)
class SeparableConv2D(Windowed2D, Separable):
    """Each channel of an image by itself, then all of them at each position."""

    kind: Literal["separable_conv2d"] = "separable_conv2d"
    frequency: ClassVar[int] = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> SeparableConv2D:
        return cls(
            filters=choice.integer(1, 3),
            depth_multiplier=choice.integer(1, 2),
            **cls.draw_windows(choice, specs[0]),
        )


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv1D(Windowed1D, Depthwise):
    """Each feature of a sequence with kernels of its own."""

    kind: Literal["depthwise_conv1d"] = "depthwise_conv1d"
    frequency: ClassVar[int] = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> DepthwiseConv1D:
        return cls(
            depth_multiplier=choice.integer(1, 2),
            **cls.draw_windows(choice, specs[0], ("valid", "same")),
        )


@dataclass(frozen=True, kw_only=True)
class SeparableConv1D(Windowed1D, Separable):
    """Each feature of a sequence by itself, then all of them at each step."""

    kind: Literal["separable_conv1d"] = "separable_conv1d"
    frequency: ClassVar[int] = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> SeparableConv1D:
        return cls(
            filters=choice.integer(1, 3),
            depth_multiplier=choice.integer(1, 2),
            **cls.draw_windows(choice, specs[0], ("valid", "same")),
        )


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    DepthwiseConv2D,
    SeparableConv2D,
    DepthwiseConv1D,
    SeparableConv1D,
)
