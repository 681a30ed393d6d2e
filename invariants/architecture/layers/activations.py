"""Activations: one class each, elementwise but for the softmaxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Spec, describe
from invariants.oracle.losses import softmax
from invariants.oracle.tape import Value

Slope = Annotated[float, Field(gt=0.0, le=4.0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Relu(Layer):
    """max(x, 0); its derivative at 0 is a field of the contract."""

    kind: Literal["relu"] = "relu"
    frequency: ClassVar[int] = 3

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("relu", at_zero=call.contract["relu_derivative_at_zero"])


@dataclass(frozen=True, kw_only=True)
class LeakyRelu(Layer):
    """x where positive, negative_slope · x elsewhere, zero included."""

    kind: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: Slope = 0.25

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LeakyRelu:
        return cls(negative_slope=choice.one_of((0.25, 0.01, 0.2)))

    def forward(self, call: Call, *xs: Value) -> Value:
        slope = self.negative_slope
        if call.contract["leaky_relu_slope"] == "float32":
            slope = float(np.float32(slope))
        return xs[0].apply("leaky_relu", slope=slope)


def straight_at_zero(x: Value, curve: Value, slope: float) -> Value:
    """`curve`, and where x is 0 a line of its slope: the second derivative there is 0."""
    return x.tape.apply("where_positive", x * -1.0, curve, x * slope)


@dataclass(frozen=True, kw_only=True)
class Elu(Layer):
    """x where positive, alpha · (exp(x) - 1) elsewhere (Clevert et al. 2016, arXiv 1511.07289).

    At 0 both frameworks take the slope from the left, and 0 for the slope of the slope.
    """

    kind: Literal["elu"] = "elu"
    alpha: Slope = 1.0

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
        curve = straight_at_zero(x, curve * self.alpha, self.alpha)
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
        if call.contract["gelu_constants"] == "float32_divisor":
            cubic, root = float(np.float32(cubic)), 1.0 / float(np.float32(math.sqrt(2.0)))
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
    """log(1 + exp(beta · x)) / beta; a framework may return x itself where beta · x is large.

    threshold: how large; None: what the contract says, never or beyond a number.
    """

    kind: Literal["softplus"] = "softplus"
    beta: Slope = 1.0
    threshold: Slope | None = None

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Softplus:
        shaped = True in choice.offered("softplus_shape")
        shapes = ((1.0, None), (1.0, None), (2.0, None), (0.5, 0.7)) if shaped else ((1.0, None),)
        beta, threshold = choice.one_of(shapes)
        return cls(beta=beta, threshold=threshold)

    def needs(self) -> Mapping[str, Any]:
        usual = self.beta == 1.0 and self.threshold is None
        return {} if usual else {"softplus_shape": True}

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        threshold = self.threshold or call.contract["softplus_linear_beyond"]
        steep = x if self.beta == 1.0 else x * self.beta
        curve = steep.apply("softplus")
        curve = curve if self.beta == 1.0 else curve / self.beta
        if threshold is None:
            return curve
        return x.tape.apply("where_positive", steep - threshold, x, curve)


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
class _OverAnAxis(Layer):
    """What the softmaxes have in common: an axis, counted from the end, of two elements or more."""

    axis: Annotated[int, Field(le=-1)] = -1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _OverAnAxis:
        """The last axis for the most part."""
        shape, rank = specs[0].shape, specs[0].rank
        axes = [axis for axis in range(-1, -rank - 1, -1) if shape[axis] > 1]
        return cls(kind=cls.kind_of(), axis=choice.one_of([*axes[:1] * rank, *axes[1:]]))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and max(specs[0].shape) > 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        if -self.axis > spec.rank or spec.shape[self.axis] == 1:
            raise ShapeError(f"a {self.kind} over axis {self.axis} does not take {describe(specs)}")
        return spec

    def forward(self, call: Call, *xs: Value) -> Value:
        if self.axis == -1:
            return self.over_the_last(xs[0])
        axes = [*range(len(xs[0].shape))]
        axes[self.axis], axes[-1] = axes[-1], axes[self.axis]
        turned = xs[0].apply("transpose", axes=tuple(axes))
        return self.over_the_last(turned).apply("transpose", axes=tuple(axes))

    def over_the_last(self, x: Value) -> Value:
        """What is taken over the last axis."""
        raise TypeError(f"{self.kind} takes nothing")


@dataclass(frozen=True, kw_only=True)
class Softmax(_OverAnAxis):
    """exp(x) / Σ exp(x) over an axis."""

    kind: Literal["softmax"] = "softmax"

    def over_the_last(self, x: Value) -> Value:
        return softmax(x)


@dataclass(frozen=True, kw_only=True)
class LogSoftmax(_OverAnAxis):
    """x - log Σ exp(x) over an axis."""

    kind: Literal["log_softmax"] = "log_softmax"

    def over_the_last(self, x: Value) -> Value:
        return x.apply("log_softmax")


@dataclass(frozen=True, kw_only=True)
class LogSigmoid(Layer):
    """log(1 / (1 + exp(-x)))."""

    kind: Literal["log_sigmoid"] = "log_sigmoid"

    def forward(self, call: Call, *xs: Value) -> Value:
        return (xs[0] * -1.0).apply("softplus") * -1.0


@dataclass(frozen=True, kw_only=True)
class Softsign(Layer):
    """x / (1 + |x|)."""

    kind: Literal["softsign"] = "softsign"

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        # At 0 the slope of |x| is 0, the subgradient of minimum norm: a second derivative shows it.
        return x / (x.tape.apply("where_positive", x, x, x * -1.0, share=0.5) + 1.0)


@dataclass(frozen=True, kw_only=True)
class Tanhshrink(Layer):
    """x - tanh(x)."""

    kind: Literal["tanhshrink"] = "tanhshrink"

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] - xs[0].apply("tanh")


@dataclass(frozen=True, kw_only=True)
class Mish(Layer):
    """x · tanh(softplus(x)) (Misra 2019, arXiv 1908.08681)."""

    kind: Literal["mish"] = "mish"

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] * xs[0].apply("softplus").apply("tanh")


@dataclass(frozen=True, kw_only=True)
class Selu(Layer):
    """scale · x where positive, scale · alpha · (exp(x) - 1) elsewhere (arXiv 1706.02515).

    The slopes at 0 differ, 1.05 and 1.76; which of them holds there is the contract's.
    """

    kind: Literal["selu"] = "selu"

    ALPHA: ClassVar[float] = 1.6732632423543772848170429916717
    SCALE: ClassVar[float] = 1.0507009873554804934193349852946

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        tape = x.tape
        negative = tape.apply("where_positive", x, tape.lift(0.0), x)
        if call.contract["elu_derivative"] == "of_the_output":
            curve = negative.apply("exp_less_one")
        else:
            curve = negative.apply("exp") - 1.0
        curve, line = curve * (self.ALPHA * self.SCALE), x * self.SCALE
        if call.contract["selu_derivative_at_zero"] == "right":
            return tape.apply("where_positive", x * -1.0, curve, line)
        curve = straight_at_zero(x, curve, self.ALPHA * self.SCALE)
        return tape.apply("where_positive", x, line, curve)


@dataclass(frozen=True, kw_only=True)
class Celu(Layer):
    """x where positive, alpha · (exp(x / alpha) - 1) elsewhere (Barron 2017, arXiv 1704.07483)."""

    kind: Literal["celu"] = "celu"
    frequency: ClassVar[int] = 2
    alpha: Slope = 1.0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Celu:
        return cls(alpha=choice.one_of((1.0, 0.5, 2.0, 0.3)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        tape, inverse = x.tape, 1.0 / self.alpha
        if call.contract["celu_alpha"] == "float32":
            inverse = 1.0 / float(np.float32(self.alpha))
        negative = tape.apply("where_positive", x, tape.lift(0.0), x)
        curve = negative.apply("celu", alpha=self.alpha, inverse=inverse)
        if call.contract["celu_derivative_at_zero"] == "both":
            return tape.apply("where_positive", x * -1.0, tape.lift(0.0), x) + curve
        if call.contract["celu_curvature_at_zero"] == "right":
            curve = straight_at_zero(x, curve, self.alpha * inverse)
        return tape.apply("where_positive", x, x, curve)


@dataclass(frozen=True, kw_only=True)
class Glu(Layer):
    """a · sigmoid(b), a and b the halves of the last axis (Dauphin et al. 2017, 1612.08083)."""

    kind: Literal["glu"] = "glu"

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].shape[-1] % 2 == 0

    def output(self, specs: Sequence[Spec]) -> Spec:
        shape = super().output(specs).shape
        return Spec((*shape[:-1], shape[-1] // 2))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        half = x.shape[-1] // 2
        gate = x.apply("slice", start=half, stop=2 * half).apply("sigmoid")
        return x.apply("slice", start=0, stop=half) * gate


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
    LogSoftmax,
    LogSigmoid,
    Softsign,
    Tanhshrink,
    Mish,
    Selu,
    Celu,
    Glu,
)
