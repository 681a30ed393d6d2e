"""Random layers beside dropout: what the framework draws is an input of the oracle (`Call.drawn`).

All are the identity in inference mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from invariants.architecture.layers.activations import Selu
from invariants.architecture.layers.base import Call, Choice, Layer, Spec
from invariants.architecture.layers.normalization import RATES, Dropout, Fraction
from invariants.oracle.tape import Value

Deviation = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class SpatialDropout1d(Layer):
    """Zeroes whole channels of a sequence (T, C) and scales the rest (arXiv 1411.4280)."""

    kind: Literal["spatial_dropout1d"] = "spatial_dropout1d"
    rate: Fraction = 0.5
    stochastic: ClassVar[bool] = True
    rank: ClassVar[int] = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Layer:
        return cls(rate=choice.one_of(RATES))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == cls.rank

    def forward(self, call: Call, *xs: Value) -> Value:
        return Dropout(rate=self.rate).forward(call, *xs)


@dataclass(frozen=True, kw_only=True)
class SpatialDropout2d(SpatialDropout1d):
    """Zeroes whole channels of an image (H, W, C) and scales the rest (arXiv 1411.4280)."""

    kind: Literal["spatial_dropout2d"] = "spatial_dropout2d"  # type: ignore[assignment]
    rank: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class AlphaDropout(Layer):
    """Sets elements to selu's limit at random, mean and variance kept (arXiv 1706.02515).

    What stays becomes a·x + a·α'·p, what goes a·α'·p - a·α', where α' = scale · alpha of selu and
    a = 1 / √((1 - p)(1 + p·α'²)). For an input of ones only what stays is positive.
    """

    kind: Literal["alpha_dropout"] = "alpha_dropout"
    rate: Fraction = 0.5
    stochastic: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> AlphaDropout:
        return cls(rate=choice.one_of(RATES))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        if not call.training:
            return x
        limit = Selu.ALPHA * Selu.SCALE
        a = ((1.0 - self.rate) * (1.0 + self.rate * limit**2)) ** -0.5
        shift = x.tape.lift(a * limit * self.rate)
        gone = shift - a * limit
        return x.tape.apply("where_positive", call.drawn(), x * a + shift, gone)


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Layer):
    """Adds normal noise with mean 0 in training mode; for an input of ones, 1 + noise."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    deviation: Deviation = 0.5
    stochastic: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> GaussianNoise:
        return cls(deviation=choice.one_of((0.5, 0.125)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        if not call.training:
            return x
        # 1 + noise was rounded to the dtype: the noise is known up to that.
        return x + x.tape.apply("centred", call.drawn(), x.tape.lift(1.0))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    SpatialDropout1d,
    SpatialDropout2d,
    AlphaDropout,
    GaussianNoise,
)
