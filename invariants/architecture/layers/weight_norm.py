"""Weight normalisation: a kernel as a direction and a length for each unit (arXiv 1602.07868)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.convolution import Windowed2D, convolved
from invariants.architecture.layers.dense import OnTheLastAxis
from invariants.oracle.tape import Value


def normalised(call: Call) -> Value:
    """direction · magnitude / |direction|, |·| over all axes but the last."""
    direction = call.parameter("direction")
    if call.contract["weight_norm_curvature"] == "unknown":
        direction = direction.apply("unjudged_again")
    inputs = tuple(range(-len(direction.shape), -1))
    inverse = direction.apply("square").sum(inputs, keepdims=True).apply("rsqrt")
    return direction * (call.parameter("magnitude") * inverse)


@dataclass(frozen=True, kw_only=True)
class WeightNormDense(OnTheLastAxis):
    """y = x @ (direction · magnitude / |direction|) + bias over the last axis, |·| by column.

    direction (in, units), magnitude (1, units).
    """

    kind: Literal["weight_norm_dense"] = "weight_norm_dense"
    frequency: ClassVar[int] = 2

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """The direction of one number is its sign."""
        return specs[0].shape[-1] > 1

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        weights = (
            # Around 1, for a direction is never a column of zeros.
            Parameter("direction", (specs[0].shape[-1], self.units), initial="scale"),
            Parameter("magnitude", (1, self.units), initial="scale"),
            Parameter("bias", (self.units,), group="bias"),
        )
        return weights[: 2 + self.use_bias]

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.with_bias(call, xs[0] @ normalised(call))


@dataclass(frozen=True, kw_only=True)
class WeightNormConv2D(Windowed2D):
    """Cross-correlation with direction · magnitude / |direction|, |·| by filter.

    direction (KH, KW, C, filters), magnitude (1, 1, 1, filters).
    """

    kind: Literal["weight_norm_conv2d"] = "weight_norm_conv2d"
    frequency: ClassVar[int] = 4
    filters: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> WeightNormConv2D:
        *extents, channels = specs[0].shape
        drawn = {"filters": choice.integer(1, 3), **cls.draw_windows(choice, specs[0])}
        if channels == 1 and drawn["kernel_size"] == (1, 1):  # the direction of one number
            drawn = {**drawn, "kernel_size": tuple(extents), "dilation": (1, 1)}
        return cls(**drawn)

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """The direction of one number is its sign."""
        return specs[0].size > 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        window = (*self.kernel_size, specs[0].shape[2])
        weights = (
            # Around 1, for a direction is never one of zeros.
            Parameter("direction", (*window, self.filters), initial="scale"),
            Parameter("magnitude", (1, 1, 1, self.filters), initial="scale"),
            Parameter("bias", (self.filters,), group="bias"),
        )
        return weights[: 2 + self.use_bias]

    def forward(self, call: Call, *xs: Value) -> Value:
        x, kernel = self.padded(xs[0]), normalised(call)
        return self.with_bias(call, convolved(call, x, kernel, 1, self.strides, self.dilation))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (WeightNormDense, WeightNormConv2D)
