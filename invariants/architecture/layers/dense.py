"""Dense layers and the frozen projection that the project grew out of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.oracle.tape import Value


@dataclass(frozen=True, kw_only=True)
class OnTheLastAxis(Layer):
    """What layers have in common that give units for features: (..., in) -> (..., units)."""

    units: Size = 1
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> OnTheLastAxis:
        units = choice.integer(1, 5)
        return cls(kind=cls.kind_of(), units=units, use_bias=not choice.boolean())

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank in (1, 2, 3)

    @classmethod
    def frequency_among(cls, specs: Sequence[Spec]) -> int:
        """Of vectors and sequences it is what networks are made of; of images it is one of many."""
        return cls.frequency if specs[0].rank < 3 else min(cls.frequency, 4)

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape[:-1], self.units))

    def with_bias(self, call: Call, y: Value) -> Value:
        return y + call.parameter("bias") if self.use_bias else y


@dataclass(frozen=True, kw_only=True)
class Dense(OnTheLastAxis):
    """y = x @ kernel + bias over the last axis."""

    kind: Literal["dense"] = "dense"
    frequency: ClassVar[int] = 26

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        kernel = Parameter("kernel", (specs[0].shape[-1], self.units))
        bias = Parameter("bias", (self.units,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.with_bias(call, xs[0] @ call.parameter("kernel"))


@dataclass(frozen=True, kw_only=True)
class Projection(Layer):
    """A PCA projection: y = x @ components - mean, both given and never trained.

    `mean` is the mean of the projected data, so a projection of 256 features to 10 has
    256·10 + 10 weights.
    """

    kind: Literal["projection"] = "projection"
    components: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Projection:
        return cls(components=choice.integer(1, 4))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        super().output(specs)
        return Spec((self.components,))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        components = (specs[0].shape[-1], self.components)
        return (
            Parameter("components", components, role="constant"),
            Parameter("mean", (self.components,), role="constant", group="bias"),
        )

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] @ call.parameter("components") - call.parameter("mean")


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Dense, Projection)
