"""Layer norm, batch norm and dropout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Shape, Spec
from invariants.oracle.primitives import align
from invariants.oracle.tape import Value

Epsilon = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
#: What a norm goes over: the last axis of a value, or all of its axes.
Span = Literal["last", "all"]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)]

#: What is added to variances: Keras's default, torch's, that of ViT and that of BERT.
EPSILONS = (1e-3, 1e-5, 1e-6, 1e-12)
#: What share of a value dropout sets to 0.
RATES = (0.5, 0.25, 0.1)


def rescaled(x: Value, mean: Value, scale: Value) -> Value:
    """(x - mean) · scale, as kernels fold it."""
    size = np.abs(x.data[:1]) + np.abs(align(mean.data[:1], x.data.ndim))
    centred = x.tape.apply("centred", x, mean)
    return x.tape.apply("rescaled", centred, scale, size=size)


def standardised(
    x: Value, mean: Value, variance: Value, epsilon: float, affine: Mapping[str, Value]
) -> Value:
    """(x - mean) / √(variance + epsilon), · gamma and + beta where `affine` holds them."""
    scale = (variance + epsilon).apply("rsqrt")
    scale = scale * affine["gamma"] if "gamma" in affine else scale
    y = rescaled(x, mean, scale)
    return y + affine["beta"] if "beta" in affine else y


def moments(x: Value, axis: int | tuple[int, ...], contract: Any) -> tuple[Value, Value]:
    """Mean and biased variance over `axis`, axes kept."""
    mean, steady = (
        x.apply("running_mean", axis=axis),
        contract["variance_curvature"] != "chain_rule",
    )
    deviations = x.tape.apply("squared_deviation", x, mean, steady=steady)
    return mean, deviations.mean(axis, keepdims=True)


def draw_span(choice: Choice, spec: Spec) -> Span:
    """The last axis for the most part; over one element it would be a sign, or beta."""
    if spec.rank == 1:
        return "last"
    spans: tuple[Span, ...] = ("last", "last", "all")
    return "all" if spec.shape[-1] == 1 else choice.one_of(spans)


def spanned(span: Span, spec: Spec) -> tuple[int, ...]:
    """The extents of what a norm goes over: the shape of its weights."""
    return spec.shape if span == "all" else spec.shape[-1:]


def spanned_axes(span: Span, x: Value) -> int | tuple[int, ...]:
    return tuple(range(1 - len(x.shape), 0)) if span == "all" else -1


@dataclass(frozen=True, kw_only=True)
class Norm(Layer):
    """What norms have in common: epsilon, and after it gamma and beta, both, one of them or none.

    parts: which of the two it has, where it is affine.
    """

    epsilon: Epsilon = 1e-3
    affine: bool = True
    parts: Literal["both", "gamma", "beta"] = "both"
    #: The point of the contract that says which a framework offers.
    weights_point: ClassVar[str] = "norm_weights"

    @classmethod
    def drawn_weights(cls, choice: Choice) -> dict[str, Any]:
        """The options that say which of gamma and beta it has; most have both."""
        both, *others = choice.offered(cls.weights_point)
        names = choice.one_of((*(both,) * 3, *others))
        return {"affine": bool(names), "parts": names[0] if len(names) == 1 else "both"}

    @property
    def names(self) -> tuple[str, ...]:
        """Those of gamma and beta that it has."""
        if not self.affine:
            return ()
        return ("gamma", "beta") if self.parts == "both" else (self.parts,)

    def needs(self) -> Mapping[str, Any]:
        return {self.weights_point: self.names}

    def weights_shape(self, spec: Spec) -> Shape:
        """The shape of gamma and of beta: one for each channel."""
        return spec.shape[-1:]

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = self.weights_shape(specs[0])
        gamma = Parameter("gamma", shape, group="norm", initial="scale")
        both = (gamma, Parameter("beta", shape, group="norm"))
        return tuple(parameter for parameter in both if parameter.name in self.names)

    def weights(self, call: Call) -> dict[str, Value]:
        """Those of gamma and beta that it has."""
        return {name: call.parameter(name) for name in self.names}


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Norm):
    """Standardised over the last axis or over all, then gamma and beta (arXiv 1607.06450)."""

    kind: Literal["layer_norm"] = "layer_norm"
    frequency: ClassVar[int] = 2
    weights_point: ClassVar[str] = "layer_norm_weights"
    span: Span = "last"

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LayerNorm:
        return cls(
            epsilon=choice.one_of(EPSILONS),
            span=draw_span(choice, specs[0]),
            **cls.drawn_weights(choice),
        )

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """Over one element it puts out beta, and what flows back through it is rounding alone."""
        return specs[0].size > 1

    def weights_shape(self, spec: Spec) -> Shape:
        return spanned(self.span, spec)

    def forward(self, call: Call, *xs: Value) -> Value:
        mean, variance = moments(xs[0], spanned_axes(self.span, xs[0]), call.contract)
        return standardised(xs[0], mean, variance, self.epsilon, self.weights(call))


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Norm):
    """Standardised over batch and positions, each channel by itself (arXiv 1502.03167).

    In training mode with the batch's own moments, which also move the running averages by
    `update` of the way; in inference mode with the running averages. Whether a frozen layer goes
    on in training mode, and whether the running variance is the unbiased one, is the contract's.
    tracked: without running averages it has the batch's moments in both modes.
    """

    kind: Literal["batch_norm"] = "batch_norm"
    frequency: ClassVar[int] = 2
    update: Fraction = 0.25
    tracked: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> BatchNorm:
        untracked = True in choice.offered("untracked_batch_norm") and choice.integer(0, 5) == 5
        return cls(
            epsilon=choice.one_of(EPSILONS),
            update=choice.one_of((0.25, 0.125, 0.1, 0.01)),
            tracked=not untracked,
            **cls.drawn_weights(choice),
        )

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), **({} if self.tracked else {"untracked_batch_norm": True})}

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = specs[0].shape[-1:]
        if not self.tracked:
            return super().parameters(specs)
        return (
            *super().parameters(specs),
            Parameter("moving_mean", shape, role="state", group="norm"),
            Parameter("moving_variance", shape, role="state", group="norm", initial="variance"),
        )

    def smallest_batch(self, specs: Sequence[Spec], training: bool) -> int:
        """A variance needs two values of each channel."""
        return 2 if (training or not self.tracked) and specs[0].size == specs[0].shape[-1] else 1

    def uses_batch_moments(self, call: Call) -> bool:
        if not self.tracked:
            return True
        return call.training and not (
            call.frozen and call.contract["frozen_batch_norm_is_inference"]
        )

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        if not self.uses_batch_moments(call):
            mean, variance = call.parameter("moving_mean"), call.parameter("moving_variance")
            return standardised(x, mean, variance, self.epsilon, self.weights(call))
        axes = tuple(range(-len(x.shape), -1))
        mean, variance = moments(x, axes, call.contract)
        if self.tracked:
            count = math.prod(x.shape[axis] for axis in axes)
            self._move_averages(call, mean, variance, count, len(x.shape))
        return standardised(x, mean, variance, self.epsilon, self.weights(call))

    def _move_averages(
        self, call: Call, mean: Value, variance: Value, count: int, rank: int
    ) -> None:
        """count: how many values of each channel the moments are of. rank: of the batch."""
        running, update = variance, self.update
        said = call.contract["batch_norm_running_variance"]
        fused = rank in (4, 5) and mean.tape.rounding.precision.name != "float64"
        if said == "unbiased" or (said == "unbiased_when_fused" and fused):
            running = variance * (count / max(count - 1, 1))
        if call.contract["batch_norm_momentum"] == "float32":
            update = float(np.float32(1.0 - (1.0 - update)))
        for name, moment in (("moving_mean", mean), ("moving_variance", running)):
            kept = call.parameter(name) * (1.0 - update)
            call.set_state(name, kept + moment.reshape(mean.shape[-1]) * update)


@dataclass(frozen=True, kw_only=True)
class Dropout(Layer):
    """Zeroes at random in training mode and scales the rest; the identity in inference mode.

    Which elements stay is the framework's draw; by how much they grow, 1 / (1 - rate), is not.
    """

    kind: Literal["dropout"] = "dropout"
    rate: Fraction = 0.5
    stochastic: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Dropout:
        return cls(rate=choice.one_of(RATES))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        if not call.training:
            return x
        scaled = x * (1.0 / (1.0 - self.rate))
        return x.tape.apply("where_positive", call.drawn(), scaled, x.tape.lift(0.0))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (LayerNorm, BatchNorm, Dropout)
