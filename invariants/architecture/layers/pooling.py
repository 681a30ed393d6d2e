"""Pooling over windows and over everything, of images (H, W, C) and sequences (T, F)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Size, Spec
from invariants.architecture.layers.convolution import (
    Image,
    Series,
    as_image,
    as_series,
    describe_image,
)
from invariants.oracle.primitives import windows
from invariants.oracle.tape import Value


@dataclass(frozen=True, kw_only=True)
class _Pool2D(Image):
    pool_size: tuple[Size, Size] = (2, 2)
    strides: tuple[Size, Size] = (2, 2)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _Pool2D:
        h, w, _ = specs[0].shape
        size = (choice.integer(1, min(2, h)), choice.integer(1, min(2, w)))
        return cls(kind=cls.kind, pool_size=size, strides=choice.one_of((size, (1, 1))))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        extents = zip(spec.shape[:2], self.pool_size, self.strides, strict=True)
        spatial = tuple(windows(*e) for e in extents)
        if min(spatial) < 1:
            raise ShapeError(
                f"a pool of {list(self.pool_size)} is larger than {describe_image(spec)}"
            )
        return Spec((*spatial, spec.shape[2]))

    def windows_of(self, x: Value) -> Value:
        """(N, H, W, C) -> (N, OH, OW, KH·KW, C)."""
        return x.apply("patches", kernel=self.pool_size, strides=self.strides)


@dataclass(frozen=True, kw_only=True)
class MaxPool2D(_Pool2D):
    """The largest of each window; of equal ones the first takes the gradient."""

    kind: Literal["max_pool2d"] = "max_pool2d"
    frequency: ClassVar[int] = 3
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.windows_of(xs[0]).apply("max", tie=call.contract["max_pool_tie"])


@dataclass(frozen=True, kw_only=True)
class AvgPool2D(_Pool2D):
    """The mean of each window."""

    kind: Literal["avg_pool2d"] = "avg_pool2d"

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.windows_of(xs[0]).mean(-2)


@dataclass(frozen=True, kw_only=True)
class _Pool1D(Series):
    pool_size: Size = 2
    strides: Size = 2

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _Pool1D:
        size = choice.integer(1, min(3, specs[0].shape[0]))
        return cls(kind=cls.kind, pool_size=size, strides=choice.one_of((size, 1)))

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        count = windows(time, self.pool_size, self.strides)
        if count < 1:
            raise ShapeError(f"a pool of {self.pool_size} is longer than {time} steps")
        return Spec((count, features))

    def windows_of(self, x: Value) -> Value:
        """(N, T, F) -> (N, OT, 1, K, F)."""
        return as_image(x).apply("patches", kernel=(self.pool_size, 1), strides=(self.strides, 1))


@dataclass(frozen=True, kw_only=True)
class MaxPool1D(_Pool1D):
    """The largest of each window in time; of equal ones the first takes the gradient."""

    kind: Literal["max_pool1d"] = "max_pool1d"
    frequency: ClassVar[int] = 2
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        return as_series(self.windows_of(xs[0]).apply("max", tie=call.contract["max_pool_tie"]))


@dataclass(frozen=True, kw_only=True)
class AvgPool1D(_Pool1D):
    """The mean of each window in time."""

    kind: Literal["avg_pool1d"] = "avg_pool1d"

    def forward(self, call: Call, *xs: Value) -> Value:
        return as_series(self.windows_of(xs[0]).mean(-2))


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool2D(Image):
    """The mean over all positions: (H, W, C) -> (C,) (Lin et al. 2013, arXiv 1312.4400)."""

    kind: Literal["global_avg_pool2d"] = "global_avg_pool2d"

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[2:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].mean((-3, -2))


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool1D(Series):
    """The mean over time: (T, F) -> (F,)."""

    kind: Literal["global_avg_pool1d"] = "global_avg_pool1d"
    frequency: ClassVar[int] = 2

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[1:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].mean(-2)


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool2D(Image):
    """The largest over all positions, (H, W, C) -> (C,); how equal ones share is the contract's."""

    kind: Literal["global_max_pool2d"] = "global_max_pool2d"
    kinked: ClassVar[bool] = True

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[2:])

    def forward(self, call: Call, *xs: Value) -> Value:
        n, h, w, c = xs[0].shape
        return xs[0].reshape(n, h * w, c).apply("max", tie=call.contract["global_max_tie"])


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool1D(Series):
    """The largest over time, (T, F) -> (F,); how equal ones share is the contract's."""

    kind: Literal["global_max_pool1d"] = "global_max_pool1d"
    kinked: ClassVar[bool] = True

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[1:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("max", tie=call.contract["global_max_tie"])


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    MaxPool2D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    AvgPool1D,
    GlobalAvgPool1D,
    GlobalMaxPool1D,
)
