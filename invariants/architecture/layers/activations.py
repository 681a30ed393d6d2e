"""Activations: one class each, elementwise but for softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, Spec
from invariants.oracle.losses import shifted
from invariants.oracle.tape import Value

Slope = Annotated[float, Field(gt=0.0, le=4.0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Relu(Layer):
    """max(x, 0); its derivative at 0 is a field of the contract."""

    kind: Literal["relu"] = "relu"
    frequency: ClassVar[int] = 3
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("relu", at_zero=call.contract["relu_derivative_at_zero"])


@dataclass(frozen=True, kw_only=True)
class LeakyRelu(Layer):
    """x where positive, negative_slope · x elsewhere, zero included."""

    kind: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: Slope = 0.25
    kinked: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LeakyRelu:
        return cls(negative_slope=choice.one_of((0.25, 0.01, 0.2)))

    def forward(self, call: Call, *xs: Value) -> Value:
        slope = self.negative_slope
        if call.contract["leaky_relu_slope"] == "float32":
            slope = float(np.float32(slope))
        return xs[0].apply("leaky_relu", slope=slope)


@dataclass(frozen=True, kw_only=True)
class Elu(Layer):
    """x where positive, alpha · (exp(x) - 1) elsewhere (Clevert et al. 2016, arXiv 1511.07289)."""

    kind: Literal["elu"] = "elu"
    alpha: Slope = 1.0
    kinked: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Elu:
        return cls(alpha=choice.one_of((1.0, 0.5)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        tape = x.tape
        negative = tape.apply("where_positive", x, tape.lift(0.0), x)
        if call.contract["elu_derivative"] == "of_the_output":
            curve = negative.apply("exp_less_one")
        else:
            curve = negative.apply("exp") - 1.0
        curve = curve * self.alpha
        return tape.apply("where_positive", x, x, curve)


@dataclass(frozen=True, kw_only=True)
class Gelu(Layer):
    """x · Φ(x), with erf or with the tanh approximation (Hendrycks & Gimpel, arXiv 1606.08415)."""

    kind: Literal["gelu"] = "gelu"
    approximate: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Gelu:
        return cls(approximate=choice.boolean())

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        cubic, root = 0.044715, math.sqrt(0.5)
        if call.contract["gelu_constants"] == "float32":
            cubic, root = float(np.float32(cubic)), float(np.float32(root))
        if self.approximate:
            inner = (x + (x * x * x) * cubic) * math.sqrt(2.0 / math.pi)
            return x * 0.5 * (inner.apply("tanh") + 1.0)
        return x * 0.5 * ((x * root).apply("erf") + 1.0)


@dataclass(frozen=True, kw_only=True)
class Silu(Layer):
    """x · sigmoid(x)."""

    kind: Literal["silu"] = "silu"

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] * xs[0].apply("sigmoid")


@dataclass(frozen=True, kw_only=True)
class Softplus(Layer):
    """log(1 + exp(x)); beyond the contract's threshold a framework may return x itself."""

    kind: Literal["softplus"] = "softplus"

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        threshold = call.contract["softplus_linear_beyond"]
        curve = x.apply("softplus")
        if threshold is None:
            return curve
        return x.tape.apply("where_positive", x - threshold, x, curve)


@dataclass(frozen=True, kw_only=True)
class Tanh(Layer):
    """tanh(x)."""

    kind: Literal["tanh"] = "tanh"

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("tanh")


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    kind: Literal["sigmoid"] = "sigmoid"

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("sigmoid")


@dataclass(frozen=True, kw_only=True)
class Softmax(Layer):
    """exp(x) / Σ exp(x) over the last axis."""

    kind: Literal["softmax"] = "softmax"

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].shape[-1] > 1

    def forward(self, call: Call, *xs: Value) -> Value:
        e = shifted(xs[0]).apply("exp")
        return e / e.sum(-1, keepdims=True)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    Relu,
    LeakyRelu,
    Elu,
    Gelu,
    Silu,
    Softplus,
    Tanh,
    Sigmoid,
    Softmax,
)
