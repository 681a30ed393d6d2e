"""Layers that reorder, repeat or pick elements: permute, repeat_vector, slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Size, Spec
from invariants.oracle.tape import Value

Axis = Annotated[int, Field(ge=1, le=3)]


@dataclass(frozen=True, kw_only=True)
class Permute(Layer):
    """Axes in another order, (T, F) -> (F, T); `dims` counts from 1, the batch axis being 0."""

    kind: Literal["permute"] = "permute"
    dims: tuple[Axis, ...] = (2, 1)

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank in (2, 3)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Permute:
        if specs[0].rank == 2:
            return cls(dims=(2, 1))
        return cls(dims=choice.one_of(((2, 1, 3), (3, 1, 2), (1, 3, 2), (2, 3, 1), (3, 2, 1))))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        if sorted(self.dims) != list(range(1, spec.rank + 1)):
            raise ShapeError(f"{list(self.dims)} is no order of {spec.rank} axes")
        return Spec(tuple(spec.shape[axis - 1] for axis in self.dims))

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].apply("permute", axes=(0, *self.dims))


@dataclass(frozen=True, kw_only=True)
class RepeatVector(Layer):
    """A vector as every step of a sequence: (F,) -> (times, F)."""

    kind: Literal["repeat_vector"] = "repeat_vector"
    times: Size = 1

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> RepeatVector:
        return cls(times=choice.integer(1, 4))

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((self.times, *super().output(specs).shape))

    def forward(self, call: Call, *xs: Value) -> Value:
        n, features = xs[0].shape
        return xs[0].reshape(n, 1, features).apply("repeat", axis=-2, times=self.times)


@dataclass(frozen=True, kw_only=True)
class Slice(Layer):
    """The elements `start` to `stop` of one axis: the first (time, rows) or the last (features)."""

    kind: Literal["slice"] = "slice"
    axis: Literal["last", "first"] = "last"
    start: Annotated[int, Field(ge=0, le=65536)] = 0
    stop: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Slice:
        axes: tuple[Literal["last", "first"], ...] = ("last", "first")
        axis = choice.one_of(axes[: specs[0].rank])
        extent = specs[0].shape[-1 if axis == "last" else 0]
        start = choice.integer(0, extent - 1)
        return cls(axis=axis, start=start, stop=choice.integer(start + 1, extent))

    def place(self, rank: int) -> int:
        """The axis, counted from the end."""
        return -1 if self.axis == "last" else -rank

    def output(self, specs: Sequence[Spec]) -> Spec:
        shape = list(super().output(specs).shape)
        place = self.place(len(shape))
        if not self.start < self.stop <= shape[place]:
            raise ShapeError(f"there is no {self.start}:{self.stop} in {shape}, {self.axis} axis")
        shape[place] = self.stop - self.start
        return Spec(tuple(shape))

    def forward(self, call: Call, *xs: Value) -> Value:
        axis = self.place(len(xs[0].shape) - 1)
        return xs[0].apply("slice", start=self.start, stop=self.stop, axis=axis)


@dataclass(frozen=True, kw_only=True)
class Split(Layer):
    """Part number `part` of an axis that is split into `parts` of one size."""

    kind: Literal["split"] = "split"
    axis: Literal["last", "first"] = "last"
    parts: Size = 1
    part: Annotated[int, Field(ge=0, le=65536)] = 0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Split:
        axes: tuple[Literal["last", "first"], ...] = ("last", "first")
        axis = choice.one_of(axes[: specs[0].rank])
        extent = specs[0].shape[-1 if axis == "last" else 0]
        parts = choice.one_of([n for n in (2, 3, 4, 1) if extent % n == 0])
        return cls(axis=axis, parts=parts, part=choice.integer(0, parts - 1))

    def place(self, rank: int) -> int:
        """The axis, counted from the end."""
        return -1 if self.axis == "last" else -rank

    def output(self, specs: Sequence[Spec]) -> Spec:
        shape = list(super().output(specs).shape)
        place = self.place(len(shape))
        if shape[place] % self.parts or self.part >= self.parts:
            raise ShapeError(f"there is no part {self.part} of {self.parts} in {shape}")
        shape[place] //= self.parts
        return Spec(tuple(shape))

    def forward(self, call: Call, *xs: Value) -> Value:
        axis = self.place(len(xs[0].shape) - 1)
        size = xs[0].shape[axis] // self.parts
        start = self.part * size
        return xs[0].apply("slice", start=start, stop=start + size, axis=axis)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Permute, RepeatVector, Slice, Split)
