"""Norms within one sample, over groups of channels, positions or features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Layer,
    Parameter,
    ShapeError,
    Size,
    Spec,
)
from invariants.architecture.layers.normalization import (
    EPSILONS,
    Epsilon,
    Norm,
    Span,
    draw_span,
    moments,
    spanned,
    spanned_axes,
    standardised,
)
from invariants.oracle.tape import Value


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Norm):
    """Standardised over the positions and channels of each of `groups` groups of channels.

    Wu & He 2018, arXiv 1803.08494; gamma and beta are by channel.
    """

    kind: Literal["group_norm"] = "group_norm"
    groups: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> GroupNorm:
        channels, size = specs[0].shape[-1], specs[0].size
        fitting = [g for g in (1, 2, 3, 4) if channels % g == 0 and size > g]
        return cls(
            groups=choice.one_of(fitting or [1]),
            epsilon=choice.one_of(EPSILONS),
            **cls.drawn_weights(choice),
        )

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """Over one element it puts out beta."""
        return specs[0].size > 1

    def smallest_batch(self, specs: Sequence[Spec], training: bool) -> int:
        """torch refuses to normalise one number (functional.py, _verify_batch_size)."""
        return 2 if specs[0].size == self.groups else 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        if spec.shape[-1] % self.groups:
            raise ShapeError(f"{self.groups} groups do not divide {spec.shape[-1]} channels")
        return spec

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        apart = (self.groups, x.shape[-1] // self.groups)
        grouped = x.reshape(*x.shape[:-1], *apart)
        mean, variance = moments(grouped, (-1, *range(-len(x.shape), -2)), call.contract)
        affine = {name: value.reshape(*apart) for name, value in self.weights(call).items()}
        return standardised(grouped, mean, variance, self.epsilon, affine).reshape(*x.shape)


@dataclass(frozen=True, kw_only=True)
class InstanceNorm(Norm):
    """Standardised over the positions of each channel of each sample (arXiv 1607.08022)."""

    kind: Literal["instance_norm"] = "instance_norm"

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> InstanceNorm:
        return cls(epsilon=choice.one_of(EPSILONS), **cls.drawn_weights(choice))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        """torch refuses channels of one position."""
        return super().accepts(specs) and specs[0].rank > 1 and specs[0].size > specs[0].shape[-1]

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        mean, variance = moments(x, tuple(range(1 - len(x.shape), -1)), call.contract)
        y = standardised(x, mean, variance, self.epsilon, self.weights(call))
        misread = call.contract["instance_norm_gradient"] == "unknown_before_steps_first"
        images = len(x.shape) > 3
        return y.apply("unjudged") if misread and images and call.before_steps_first else y


@dataclass(frozen=True, kw_only=True)
class RmsNorm(Layer):
    """x / √(mean(x²) + epsilon) over the last axis or all, · scale if scaled (arXiv 1910.07467)."""

    kind: Literal["rms_norm"] = "rms_norm"
    epsilon: Epsilon = 1e-3
    span: Span = "last"
    scaled: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> RmsNorm:
        scaled = choice.one_of(choice.offered("rms_norm_scaled"))
        span = draw_span(choice, specs[0])
        return cls(epsilon=choice.one_of((1e-3, 1e-6)), span=span, scaled=scaled)

    def needs(self) -> Mapping[str, Any]:
        return {"rms_norm_scaled": self.scaled}

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """Over one element it puts out a sign."""
        return specs[0].size > 1

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = spanned(self.span, specs[0])
        scale = Parameter("scale", shape, group="norm", initial="scale")
        return (scale,) if self.scaled else ()

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        mean = x.apply("square").mean(spanned_axes(self.span, x), keepdims=True)
        y = x * (mean + self.epsilon).apply("rsqrt")
        return y * call.parameter("scale") if self.scaled else y


def of_unit_length(x: Value, axes: tuple[int, ...], least: float, contract: Any) -> Value:
    """x / max(√Σx², least) over `axes`, so that zeros stay zeros.

    Below `least` the length counts as a constant, and so does its inverse.
    """
    if contract["norm_curvature_at_zero"] == "unknown" and (x.data == 0.0).all(axes).any():
        x = x.apply("unjudged_again")
    tape, squares = x.tape, x.apply("square").sum(axes, keepdims=True)
    longer = squares - least**2
    inverse = tape.apply("where_positive", longer, squares, tape.lift(1.0)).apply("rsqrt")
    return x * tape.apply("where_positive", longer, inverse, tape.lift(1.0 / least))


@dataclass(frozen=True, kw_only=True)
class UnitNormalization(Layer):
    """x / max(√Σx², 1e-12) over axes that count from the end, so that zeros stay zeros."""

    kind: Literal["unit_normalization"] = "unit_normalization"
    frequency: ClassVar[int] = 2
    axes: Annotated[tuple[Annotated[int, Field(le=-1)], ...], Field(min_length=1)] = (-1,)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> UnitNormalization:
        """The last axis for the most part, else another one or all; one element has a sign."""
        shape, rank = specs[0].shape, specs[0].rank
        single = [(axis,) for axis in range(-1, -rank - 1, -1) if shape[axis] > 1]
        several = [tuple(range(-rank, 0))] if rank > 1 else []
        return cls(axes=choice.one_of([*single[:1] * rank, *single[1:], *several]))

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """Over one element it puts out a sign."""
        return specs[0].size > 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        if -min(self.axes) > spec.rank:
            raise ShapeError(f"a value of {spec.rank} axes has no axis {min(self.axes)}")
        return spec

    def forward(self, call: Call, *xs: Value) -> Value:
        return of_unit_length(xs[0], self.axes, 1e-12, call.contract)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (GroupNorm, InstanceNorm, RmsNorm, UnitNormalization)
