"""Adapters: small trainable layers in or around ones that are usually frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

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
from invariants.oracle.tape import Value


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


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    Bottleneck,
    SqueezeExcite,
    Film,
)
