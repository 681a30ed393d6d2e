"""Adapters: small trainable layers in or around ones that are usually frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Layer,
    Parameter,
    ShapeError,
    Size,
    Spec,
    describe,
)
from invariants.architecture.layers.convolution import Windowed2D, convolved
from invariants.architecture.layers.dense import OnTheLastAxis
from invariants.oracle.tape import Value

Alpha = Annotated[float, Field(gt=0.0, le=64.0, allow_inf_nan=False)]


def dense_parameters(prefix: str, inputs: int, units: int) -> tuple[Parameter, Parameter]:
    """Kernel (inputs, units) and bias of a dense layer within another."""
    return (
        Parameter(f"{prefix}_kernel", (inputs, units)),
        Parameter(f"{prefix}_bias", (units,), group="bias"),
    )


def dense(call: Call, prefix: str, x: Value) -> Value:
    """x @ kernel + bias of the dense layer `prefix` within another."""
    return x @ call.parameter(f"{prefix}_kernel") + call.parameter(f"{prefix}_bias")


@dataclass(frozen=True, kw_only=True)
class LoraDense(Layer):
    """y = x @ kernel + bias + (alpha / rank) · (x @ lora_a) @ lora_b, over the last axis.

    Hu et al. 2021, arXiv 2106.09685: (..., in) -> (..., units), lora_a (in, rank), lora_b
    (rank, units).
    """

    kind: Literal["lora_dense"] = "lora_dense"
    frequency: ClassVar[int] = 2
    units: Size = 1
    rank: Size = 1
    alpha: Alpha = 1.0
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LoraDense:
        return cls(
            units=choice.integer(1, 5),
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1.0, 2.0, 0.5)),
            use_bias=not choice.boolean(),
        )

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank in (1, 2)

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape[:-1], self.units))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        inputs = specs[0].shape[-1]
        base = (
            Parameter("kernel", (inputs, self.units)),
            Parameter("bias", (self.units,), group="bias"),
        )
        factors = (
            Parameter("lora_a", (inputs, self.rank)),
            Parameter("lora_b", (self.rank, self.units)),
        )
        return (*base[: 1 + self.use_bias], *factors)

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        y = x @ call.parameter("kernel")
        if self.use_bias:
            y = y + call.parameter("bias")
        delta = x @ call.parameter("lora_a") @ call.parameter("lora_b")
        return y + delta * (self.alpha / self.rank)


@dataclass(frozen=True, kw_only=True)
class LoraConv2D(Windowed2D):
    """conv(x, kernel) + bias + (alpha / rank) · conv1x1(conv(x, lora_a), lora_b), (H, W, C) images.

    Hu et al. 2021, arXiv 2106.09685, as the package PEFT has it: lora_a (KH, KW, C, rank) goes over
    the image as the kernel does, lora_b (1, 1, rank, filters) over its result.
    """

    kind: Literal["lora_conv2d"] = "lora_conv2d"
    frequency: ClassVar[int] = 4
    filters: Size = 1
    rank: Size = 1
    alpha: Alpha = 1.0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LoraConv2D:
        return cls(
            filters=choice.integer(1, 3),
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1.0, 2.0, 0.5)),
            **cls.draw_windows(choice, specs[0]),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        window = (*self.kernel_size, specs[0].shape[2])
        base = (
            Parameter("kernel", (*window, self.filters)),
            Parameter("bias", (self.filters,), group="bias"),
        )
        factors = (
            Parameter("lora_a", (*window, self.rank), group="adapter"),
            Parameter("lora_b", (1, 1, self.rank, self.filters), group="adapter"),
        )
        return (*base[: 1 + self.use_bias], *factors)

    def forward(self, call: Call, *xs: Value) -> Value:
        x, once = self.padded(xs[0]), (1, 1)
        y = convolved(call, x, call.parameter("kernel"), 1, self.strides, self.dilation)
        y = self.with_bias(call, y)
        down = convolved(call, x, call.parameter("lora_a"), 1, self.strides, self.dilation)
        delta = convolved(call, down, call.parameter("lora_b"), 1, once, once)
        return y + delta * (self.alpha / self.rank)


@dataclass(frozen=True, kw_only=True)
class LoraEmbedding(Layer):
    """Rows of embeddings + (alpha / rank) · lora_a @ lora_b by index: (T,) -> (T, features)."""

    kind: Literal["lora_embedding"] = "lora_embedding"
    features: Size = 1
    rank: Size = 1
    alpha: Alpha = 1.0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LoraEmbedding:
        return cls(
            features=choice.integer(1, 4),
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1.0, 2.0, 0.5)),
        )

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) == 1 and specs[0].vocabulary is not None and specs[0].rank == 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape, self.features))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        rows = specs[0].vocabulary or 1
        return (
            Parameter("embeddings", (rows, self.features)),
            Parameter("lora_a", (rows, self.rank)),
            Parameter("lora_b", (self.rank, self.features)),
        )

    def forward(self, call: Call, *xs: Value) -> Value:
        indices = xs[0].data[0].astype(np.int64)
        base = call.parameter("embeddings").apply("take", indices=indices)
        delta = call.parameter("lora_a").apply("take", indices=indices) @ call.parameter("lora_b")
        return base + delta * (self.alpha / self.rank)


@dataclass(frozen=True, kw_only=True)
class Bottleneck(Layer):
    """x + up(activation(down(x))) over the last axis (Houlsby et al. 2019, arXiv 1902.00751)."""

    kind: Literal["bottleneck"] = "bottleneck"
    frequency: ClassVar[int] = 2
    units: Size = 1
    activation: Literal["tanh", "relu"] = "tanh"

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Bottleneck:
        return cls(units=choice.integer(1, 3), activation=choice.one_of(("tanh", "relu")))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank in (1, 2)

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        features = specs[0].shape[-1]
        down = dense_parameters("down", features, self.units)
        return (*down, *dense_parameters("up", self.units, features))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        inner = dense(call, "down", x)
        if self.activation == "relu":
            inner = inner.apply("relu", at_zero=call.contract["relu_derivative_at_zero"])
        else:
            inner = inner.apply("tanh")
        return x + dense(call, "up", inner)


@dataclass(frozen=True, kw_only=True)
class Film(Layer):
    """gamma · x + beta, both a linear map of a second value (Perez et al., arXiv 1709.07871).

    x of shape (..., C) and features of shape (F,); kernel (F, 2·C), bias (2·C,), gamma first.
    """

    kind: Literal["film"] = "film"
    frequency: ClassVar[int] = 2
    arity: ClassVar[int | None] = 2

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) == 2 and all(s.vocabulary is None for s in specs) and specs[1].rank == 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        if not self.accepts(specs):
            raise ShapeError(f"a film layer does not take {describe(specs)}")
        return specs[0]

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        if not self.accepts(specs):
            return ()
        units = 2 * specs[0].shape[-1]
        return (
            Parameter("kernel", (specs[1].shape[0], units)),
            Parameter("bias", (units,), group="bias"),
        )

    def forward(self, call: Call, *xs: Value) -> Value:
        x, features = xs
        n, channels = x.shape[0], x.shape[-1]
        both = features @ call.parameter("kernel") + call.parameter("bias")
        shape = (n, *(1 for _ in x.shape[1:-1]), channels)
        gamma = both.apply("slice", start=0, stop=channels).reshape(*shape)
        beta = both.apply("slice", start=channels, stop=2 * channels).reshape(*shape)
        return x * gamma + beta


@dataclass(frozen=True, kw_only=True)
class SqueezeExcite(Layer):
    """x · sigmoid(up(relu(down(mean of x over positions)))), (H, W, C) (arXiv 1709.01507)."""

    kind: Literal["squeeze_excite"] = "squeeze_excite"
    frequency: ClassVar[int] = 2
    units: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> SqueezeExcite:
        return cls(units=choice.integer(1, 3))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 3

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        channels = specs[0].shape[-1]
        down = dense_parameters("down", channels, self.units)
        return (*down, *dense_parameters("up", self.units, channels))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        at_zero = call.contract["relu_derivative_at_zero"]
        squeezed = dense(call, "down", x.mean((-3, -2))).apply("relu", at_zero=at_zero)
        gate = dense(call, "up", squeezed).apply("sigmoid")
        return x * gate.reshape(x.shape[0], 1, 1, x.shape[-1])


@dataclass(frozen=True, kw_only=True)
class WeightNormDense(OnTheLastAxis):
    """y = x @ (direction · magnitude / |direction|) + bias over the last axis, |·| by column.

    Salimans & Kingma 2016, arXiv 1602.07868; direction (in, units), magnitude (1, units).
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
        direction = call.parameter("direction")
        inverse = direction.apply("square").sum(-2, keepdims=True).apply("rsqrt")
        return self.with_bias(call, xs[0] @ (direction * (call.parameter("magnitude") * inverse)))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    LoraDense,
    LoraEmbedding,
    LoraConv2D,
    Bottleneck,
    WeightNormDense,
    SqueezeExcite,
    Film,
)
