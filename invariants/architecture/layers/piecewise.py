"""Activations that are made of straight pieces, and what they do at the joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Spec
from invariants.oracle.tape import Value

Threshold = Annotated[float, Field(gt=0.0, le=4.0, allow_inf_nan=False)]


def clipped(x: Value, low: float, high: float, passes: bool = False) -> Value:
    """x between `low` and `high`; `passes` says whether the gradient passes at the two."""
    tape = x.tape
    bottom, top = tape.lift(low), tape.lift(high)
    if passes:
        inner = tape.apply("where_positive", x - high, top, x)
        return tape.apply("where_positive", bottom - x, bottom, inner)
    inner = tape.apply("where_positive", top - x, x, top)
    return tape.apply("where_positive", x - low, inner, bottom)


@dataclass(frozen=True, kw_only=True)
class Relu6(Layer):
    """min(max(x, 0), 6); flat at both ends, 0 and 6 included."""

    kind: Literal["relu6"] = "relu6"
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        return clipped(xs[0], 0.0, 6.0)


@dataclass(frozen=True, kw_only=True)
class HardTanh(Layer):
    """min(max(x, -1), 1); its derivative at -1 and 1 is a field of the contract."""

    kind: Literal["hard_tanh"] = "hard_tanh"
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        passes = call.contract["hard_tanh_derivative_at_ends"] == 1.0
        return clipped(xs[0], -1.0, 1.0, passes)


@dataclass(frozen=True, kw_only=True)
class HardSigmoid(Layer):
    """min(max(x + 3, 0), 6) / 6; flat at both ends, -3 and 3 included."""

    kind: Literal["hard_sigmoid"] = "hard_sigmoid"
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        inverse = 1.0 / 6.0
        if call.contract["hard_sigmoid_sixth"] == "float32":
            inverse = float(np.float32(inverse))
        return clipped(xs[0] + 3.0, 0.0, 6.0).apply("divide_by", divisor=6.0, inverse=inverse)


@dataclass(frozen=True, kw_only=True)
class HardSilu(Layer):
    """x · hard_sigmoid(x), called hardswish too (Howard et al. 2019, arXiv 1905.02244)."""

    kind: Literal["hard_silu"] = "hard_silu"
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] * (clipped(xs[0] + 3.0, 0.0, 6.0) / 6.0)


@dataclass(frozen=True, kw_only=True)
class Softshrink(Layer):
    """x moved towards 0 by `threshold`, and 0 up to it."""

    kind: Literal["softshrink"] = "softshrink"
    threshold: Threshold = 0.5
    kinked: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Softshrink:
        return cls(threshold=choice.one_of((0.5, 0.25)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        tape, zero = x.tape, x.tape.lift(0.0)
        beyond, below = x - self.threshold, x + self.threshold
        inner = tape.apply("where_positive", below * -1.0, below, zero)
        return tape.apply("where_positive", beyond, beyond, inner)


@dataclass(frozen=True, kw_only=True)
class HardShrink(Layer):
    """x where |x| > threshold, 0 elsewhere: a function that jumps."""

    kind: Literal["hard_shrink"] = "hard_shrink"
    threshold: Threshold = 0.5
    kinked: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> HardShrink:
        return cls(threshold=choice.one_of((0.5, 0.25)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        tape = x.tape
        below = (x + self.threshold) * -1.0
        inner = tape.apply("where_positive", below, x, tape.lift(0.0))
        return tape.apply("where_positive", x - self.threshold, x, inner)


@dataclass(frozen=True, kw_only=True)
class Prelu(Layer):
    """x where positive, alpha · x elsewhere, alpha learned by channel (arXiv 1502.01852).

    alpha has shape (1, ..., 1, C), as Keras holds it; the derivative at 0 is the contract's, which
    may take alpha in a gradient and 1 in the gradient of that.
    """

    kind: Literal["prelu"] = "prelu"
    frequency: ClassVar[int] = 3
    kinked: ClassVar[bool] = True

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = specs[0].shape
        return (Parameter("alpha", (*(1 for _ in shape[:-1]), shape[-1])),)

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        tape, alpha = x.tape, call.parameter("alpha")
        at_zero = call.contract["prelu_derivative_at_zero"]
        if at_zero == "alpha":
            return tape.apply("where_positive", x, x, x * alpha)
        if at_zero == "alpha_then_one":
            return tape.apply("where_positive", x, x, tape.apply("leak", x, alpha), again=1.0)
        if at_zero == "one":
            return tape.apply("where_positive", x * -1.0, x * alpha, x)
        flat = (x * -1.0).apply("relu", at_zero=0.0) * alpha
        return x.apply("relu", at_zero=0.0) - flat


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    Relu6,
    HardTanh,
    HardSigmoid,
    HardSilu,
    Softshrink,
    HardShrink,
    Prelu,
)
