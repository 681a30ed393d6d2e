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
    as_series,
    convolved,
)
from invariants.oracle.primitives import Pair
from invariants.oracle.tape import Value


def convolved_by_channel(x: Value, kernel: Value, strides: Pair, dilation: Pair) -> Value:
    """(N, H, W, C) with a kernel (KH, KW, C, M), each channel by itself -> (N, OH, OW, C·M)."""
    kh, kw, channels, multiplier = kernel.shape
    patches = x.apply("patches", kernel=(kh, kw), strides=strides, dilation=dilation)
    windows_of_one = patches.reshape(*patches.shape, 1)
    products = windows_of_one * kernel.reshape(kh * kw, channels, multiplier)
    return products.sum(-3).reshape(*patches.shape[:3], channels * multiplier)


def along_time(layer: Windowed1D, x: Value, kernel: Value) -> Value:
    """(N, T, F) with a kernel (K, F, M), each channel by itself -> (N, OT, 1, F·M)."""
    size, features, multiplier = kernel.shape
    kernel = kernel.reshape(size, 1, features, multiplier)
    return convolved_by_channel(layer.padded(x), kernel, (layer.strides, 1), (layer.dilation, 1))


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2D(Windowed2D):
    """Each channel with kernels of its own, (KH, KW, C, M): (H, W, C) -> (OH, OW, C·M)."""

    kind: Literal["depthwise_conv2d"] = "depthwise_conv2d"
    frequency: ClassVar[int] = 2
    depth_multiplier: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> DepthwiseConv2D:
        return cls(depth_multiplier=choice.integer(1, 2), **cls.draw_windows(choice, specs[0]))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        return Spec((*self.spatial(spec), spec.shape[2] * self.depth_multiplier))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        channels = specs[0].shape[2]
        kernel = Parameter("kernel", (*self.kernel_size, channels, self.depth_multiplier))
        bias = Parameter("bias", (channels * self.depth_multiplier,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        x, kernel = self.padded(xs[0]), call.parameter("kernel")
        return self.with_bias(call, convolved_by_channel(x, kernel, self.strides, self.dilation))


@dataclass(frozen=True, kw_only=True)
class SeparableConv2D(Windowed2D):
    """Kernels of shape (KH, KW, C, M) and (1, 1, C·M, filters): (H, W, C) -> (OH, OW, filters)."""

    kind: Literal["separable_conv2d"] = "separable_conv2d"
    frequency: ClassVar[int] = 2
    filters: Size = 1
    depth_multiplier: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> SeparableConv2D:
        return cls(
            filters=choice.integer(1, 3),
            depth_multiplier=choice.integer(1, 2),
            **cls.draw_windows(choice, specs[0]),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        channels, multiplier = specs[0].shape[2], self.depth_multiplier
        kernels = (
            Parameter("depthwise_kernel", (*self.kernel_size, channels, multiplier)),
            Parameter("pointwise_kernel", (1, 1, channels * multiplier, self.filters)),
        )
        bias = Parameter("bias", (self.filters,), group="bias")
        return (*kernels, bias) if self.use_bias else kernels

    def forward(self, call: Call, *xs: Value) -> Value:
        depthwise, pointwise = (
            call.parameter(f"{which}_kernel") for which in ("depthwise", "pointwise")
        )
        y = convolved_by_channel(self.padded(xs[0]), depthwise, self.strides, self.dilation)
        return self.with_bias(call, convolved(call, y, pointwise, 1, (1, 1), (1, 1)))


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv1D(Windowed1D):
    """Each channel with kernels of its own, (K, F, M): (T, F) -> (OT, F·M)."""

    kind: Literal["depthwise_conv1d"] = "depthwise_conv1d"
    frequency: ClassVar[int] = 2
    depth_multiplier: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> DepthwiseConv1D:
        return cls(
            depth_multiplier=choice.integer(1, 2),
            **cls.draw_windows(choice, specs[0], ("valid", "same")),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        return Spec((self.steps(spec), spec.shape[1] * self.depth_multiplier))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        features = specs[0].shape[1]
        kernel = Parameter("kernel", (self.kernel_size, features, self.depth_multiplier))
        bias = Parameter("bias", (features * self.depth_multiplier,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        y = along_time(self, xs[0], call.parameter("kernel"))
        return self.with_bias(call, as_series(y))


@dataclass(frozen=True, kw_only=True)
class SeparableConv1D(Windowed1D):
    """Kernels of shape (K, F, M) and (1, F·M, filters): (T, F) -> (OT, filters)."""

    kind: Literal["separable_conv1d"] = "separable_conv1d"
    frequency: ClassVar[int] = 2
    filters: Size = 1
    depth_multiplier: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> SeparableConv1D:
        return cls(
            filters=choice.integer(1, 3),
            depth_multiplier=choice.integer(1, 2),
            **cls.draw_windows(choice, specs[0], ("valid", "same")),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((self.steps(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        features, multiplier = specs[0].shape[1], self.depth_multiplier
        kernels = (
            Parameter("depthwise_kernel", (self.kernel_size, features, multiplier)),
            Parameter("pointwise_kernel", (1, features * multiplier, self.filters)),
        )
        bias = Parameter("bias", (self.filters,), group="bias")
        return (*kernels, bias) if self.use_bias else kernels

    def forward(self, call: Call, *xs: Value) -> Value:
        y = along_time(self, xs[0], call.parameter("depthwise_kernel"))
        pointwise = call.parameter("pointwise_kernel").reshape(1, 1, y.shape[-1], self.filters)
        y = convolved(call, y, pointwise, 1, (1, 1), (1, 1))
        return self.with_bias(call, as_series(y))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    DepthwiseConv2D,
    SeparableConv2D,
    DepthwiseConv1D,
    SeparableConv1D,
)
