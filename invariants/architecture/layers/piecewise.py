"""Activations that are made of straight pieces, and what they do at the joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, ShapeError, Spec
from invariants.oracle.tape import Value

End = Annotated[float, Field(ge=-4.0, le=4.0, allow_inf_nan=False)]
Threshold = Annotated[float, Field(gt=0.0, le=4.0, allow_inf_nan=False)]
#: Where one slope is for all samples and positions, for all of a sample, or for none but its own.
Sharing = Literal["positions", "all", "none"]


def clipped(x: Value, low: float, high: float, passes: bool = False) -> Value:
    """x between `low` and `high`; `passes` says whether the gradient passes at the two."""
    tape = x.tape
    bottom, top = tape.lift(low), tape.lift(high)
    if passes:
        inner = tape.apply("where_positive", x - high, top, x)
        return tape.apply("where_positive", bottom - x, bottom, inner)
    inner = tape.apply("where_positive", top - x, x, top)
    return tape.apply("where_positive", x - low, inner, bottom)


def hard_sigmoid(call: Call, x: Value) -> Value:
    """min(max(x + 3, 0), 6) / 6; or a line of another slope, by the contract."""
    if call.contract["hard_sigmoid"] == "a_fifth":
        return clipped(x * 0.2 + 0.5, 0.0, 1.0, passes=True)
    inverse = 1.0 / 6.0
    if call.contract["hard_sigmoid_sixth"] == "float32":
        inverse = float(np.float32(inverse))
    return clipped(x + 3.0, 0.0, 6.0).apply("divide_by", divisor=6.0, inverse=inverse)


@dataclass(frozen=True, kw_only=True)
class Relu6(Layer):
    """min(max(x, 0), 6); flat at both ends, 0 and 6 included."""

    kind: Literal["relu6"] = "relu6"

    def forward(self, call: Call, *xs: Value) -> Value:
        return clipped(xs[0], 0.0, 6.0)


@dataclass(frozen=True, kw_only=True)
class HardTanh(Layer):
    """min(max(x, low), high); its derivative at low and high is a field of the contract."""

    kind: Literal["hard_tanh"] = "hard_tanh"
    low: End = -1.0
    high: End = 1.0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> HardTanh:
        free = True in choice.offered("hard_tanh_free_ends")
        ends = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0), (-0.5, 2.0)) if free else ((-1.0, 1.0),)
        low, high = choice.one_of(ends)
        return cls(low=low, high=high)

    def needs(self) -> Mapping[str, Any]:
        return {"hard_tanh_free_ends": True} if (self.low, self.high) != (-1.0, 1.0) else {}

    def output(self, specs: Sequence[Spec]) -> Spec:
        if self.low >= self.high:
            raise ShapeError(f"hard_tanh has its low end below its high one, not {self.low}")
        return super().output(specs)

    def forward(self, call: Call, *xs: Value) -> Value:
        passes = call.contract["hard_tanh_derivative_at_ends"] == 1.0
        return clipped(xs[0], self.low, self.high, passes)


@dataclass(frozen=True, kw_only=True)
class HardSigmoid(Layer):
    """min(max(x + 3, 0), 6) / 6; flat at both ends, -3 and 3 included."""

    kind: Literal["hard_sigmoid"] = "hard_sigmoid"

    def forward(self, call: Call, *xs: Value) -> Value:
        return hard_sigmoid(call, xs[0])


@dataclass(frozen=True, kw_only=True)
class HardSilu(Layer):
    """x · hard_sigmoid(x), called hardswish too (Howard et al. 2019, arXiv 1905.02244)."""

    kind: Literal["hard_silu"] = "hard_silu"

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] * (clipped(xs[0] + 3.0, 0.0, 6.0) / 6.0)


@dataclass(frozen=True, kw_only=True)
class Softshrink(Layer):
    """x moved towards 0 by `threshold`, and 0 up to it."""

    kind: Literal["softshrink"] = "softshrink"
    threshold: Threshold = 0.5

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

    alpha has the rank of x, as Keras holds it, and 1 for the axes that share it: "positions", all
    but the channels; "all"; or "none". The derivative at 0 is the contract's, which may take alpha
    in a gradient and 1 in the gradient of that.
    """

    kind: Literal["prelu"] = "prelu"
    sharing: Sharing = "positions"
    frequency: ClassVar[int] = 3

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Prelu:
        usual, *others = choice.offered("prelu_sharing")
        return cls(sharing=choice.one_of((*(usual,) * 2, *others)))

    def needs(self) -> Mapping[str, Any]:
        return {"prelu_sharing": self.sharing}

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = specs[0].shape
        own = {"positions": 1, "all": 0, "none": len(shape)}[self.sharing]
        return (Parameter("alpha", (*(1,) * (len(shape) - own), *shape[len(shape) - own :])),)

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
