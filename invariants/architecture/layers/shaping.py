"""Layers that look up, move or merge elements: embedding, flatten, reshape, add, multiply, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Layer,
    Parameter,
    ShapeError,
    Size,
    Spec,
    describe,
)
from invariants.oracle.tape import Value


@dataclass(frozen=True, kw_only=True)
class Embedding(Layer):
    """Rows of a table by index: (T,) of indices -> (T, features).

    padding_index: the row that gets no gradient, where a backend offers such a one. max_norm: the
    largest norm of a row, to which a forward pass scales those that it looks up, in the table
    itself; norm_type: which norm. by_frequency: the gradient of a row is divided by how often the
    batch asks for it.
    """

    rewrites_frozen: ClassVar[bool] = True

    kind: Literal["embedding"] = "embedding"
    features: Size = 1
    padding_index: Annotated[int, Field(ge=0)] | None = None
    max_norm: Annotated[float, Field(gt=0.0, le=1e3, allow_inf_nan=False)] | None = None
    norm_type: Literal[2, 1] = 2
    by_frequency: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Embedding:
        rows = specs[0].vocabulary or 1
        padded = rows > 1 and choice.one_of(choice.offered("embedding_padding"))
        features = choice.integer(1, 4)
        padding_index = choice.integer(0, rows - 1) if padded else None
        limited = choice.one_of(choice.offered("embedding_max_norm")) and choice.boolean()
        return cls(
            features=features,
            padding_index=padding_index,
            max_norm=choice.one_of((0.5, 1.0)) if limited else None,
            norm_type=choice.one_of((2, 1)) if limited else 2,
            by_frequency=choice.one_of(choice.offered("embedding_by_frequency"))
            and choice.boolean(),
        )

    def needs(self) -> Mapping[str, Any]:
        asked = {
            "embedding_padding": self.padding_index is not None,
            "embedding_max_norm": self.max_norm is not None,
            "embedding_by_frequency": self.by_frequency,
        }
        return {point: True for point, needed in asked.items() if needed}

    def rewrites(
        self, training: bool, frozen_weights: frozenset[str], contract: Any
    ) -> tuple[str, ...]:
        return () if self.max_norm is None else ("embeddings",)

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) == 1 and specs[0].vocabulary is not None and specs[0].rank == 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        if self.padding_index is not None and self.padding_index >= (spec.vocabulary or 1):
            raise ShapeError(f"row {self.padding_index} is not one of {spec.vocabulary}")
        return Spec((*spec.shape, self.features))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return (Parameter("embeddings", (specs[0].vocabulary or 1, self.features)),)

    def forward(self, call: Call, *xs: Value) -> Value:
        indices = xs[0].data[0].astype(np.int64)
        self._limit(call, indices)
        table = call.parameter("embeddings")
        if self.padding_index is None or call.contract["padding_row"] == "trained":
            return self._by_frequency(call, table.apply("take", indices=indices), indices)
        trained = np.ones((1, *table.shape))
        trained[:, self.padding_index] = 0.0
        constant = Value(table.tape, table.data, table.grid)  # another leaf: no gradient goes there
        chosen = table.tape.apply("where_positive", table.tape.constant(trained), table, constant)
        return self._by_frequency(call, chosen.apply("take", indices=indices), indices)

    def _by_frequency(self, call: Call, rows: Value, indices: np.ndarray) -> Value:
        """The rows, which hand on a share of their gradient if the layer says so."""
        scaling = call.contract["lookup_scaling"] if self.by_frequency else "none"
        if scaling == "none":
            return rows
        share = 1.0 / np.bincount(indices.reshape(-1))[indices][..., None]
        again = {"again": np.ones_like(share)} if scaling == "not_again" else {}
        return rows.apply("shared", share=share, **again)

    def _limit(self, call: Call, indices: np.ndarray) -> None:
        """Scales the rows that are looked up to `max_norm` where their norm is larger.

        Nothing is differentiated through that: the table is another constant from here on.
        """
        if self.max_norm is None:
            return
        table = call.parameter("embeddings")
        rows, limit = table.tape.constant(table.data), table.tape.lift(self.max_norm)
        if self.norm_type == 1:
            norm = rows.apply("absolute").sum(-1, keepdims=True)
            excess = norm - limit
        else:  # told by squares, for 0 is a pole of the root
            squares = rows.apply("square").sum(-1, keepdims=True)
            norm, excess = squares.apply("sqrt"), squares - self.max_norm**2
        scaled = rows * (limit / (norm + call.contract["renormalised_row_floor"]))
        looked_up = np.zeros((1, table.shape[0], 1))
        looked_up[:, indices] = 1.0
        limited = rows.tape.apply("where_positive", excess, scaled, rows)
        after = rows.tape.apply("where_positive", rows.tape.constant(looked_up), limited, rows)
        if not (after.data == table.data).all():
            call.set_state("embeddings", rows.tape.constant(after.data))


@dataclass(frozen=True, kw_only=True)
class Flatten(Layer):
    """All axes into one, in the canonical (channels last) order."""

    kind: Literal["flatten"] = "flatten"

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((super().output(specs).size,))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        return x.reshape(x.shape[0], int(np.prod(x.shape[1:])))


@dataclass(frozen=True, kw_only=True)
class Reshape(Layer):
    """The same elements in another shape, in the canonical order."""

    kind: Literal["reshape"] = "reshape"
    shape: tuple[Size, ...] = (1,)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Reshape:
        n = specs[0].size
        pairs = [(a, n // a) for a in range(1, n + 1) if n % a == 0 and a <= 6]
        larger: list[tuple[int, ...]] = [(2, 2, n // 4)] if n % 4 == 0 else []
        larger += [(1, 1, n), (1, n, 1)] if n <= 6 else []
        larger += [(3, 3, n // 9)] if n % 9 == 0 else []
        larger += [(2, 2, 2, n // 8)] if n % 8 == 0 else []
        return cls(shape=choice.one_of([(n,), *pairs, *larger]))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec, result = super().output(specs), Spec(self.shape)
        if result.size != spec.size or not 1 <= result.rank <= 4:
            raise ShapeError(f"{list(spec.shape)} cannot be reshaped to {list(self.shape)}")
        return result

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].reshape(xs[0].shape[0], *self.shape)


class Merge(Layer):
    """What merges of values of one shape have in common."""

    arity: ClassVar[int | None] = None

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) >= 2 and all(
            s.vocabulary is None and s.shape == specs[0].shape for s in specs
        )


@dataclass(frozen=True, kw_only=True)
class Add(Merge):
    """The sum of values of one shape."""

    kind: Literal["add"] = "add"
    frequency: ClassVar[int] = 2

    def forward(self, call: Call, *xs: Value) -> Value:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total


@dataclass(frozen=True, kw_only=True)
class Multiply(Merge):
    """The elementwise product of values of one shape."""

    kind: Literal["multiply"] = "multiply"

    def forward(self, call: Call, *xs: Value) -> Value:
        product = xs[0]
        for x in xs[1:]:
            product = product * x
        return product


@dataclass(frozen=True, kw_only=True)
class Concatenate(Merge):
    """Values joined along the last axis or the first (time, rows); the other axes agree."""

    kind: Literal["concatenate"] = "concatenate"
    axis: Literal["last", "first"] = "last"

    @staticmethod
    def fitting(specs: Sequence[Spec]) -> tuple[Literal["last", "first"], ...]:
        """The axes along which values of `specs` can be joined."""
        shape = specs[0].shape
        found: list[Literal["last", "first"]] = []
        if all(spec.shape[:-1] == shape[:-1] for spec in specs):
            found.append("last")
        if len(shape) > 1 and all(spec.shape[1:] == shape[1:] for spec in specs):
            found.append("first")
        return tuple(found)

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return (
            len(specs) >= 2
            and all(s.vocabulary is None and s.rank == specs[0].rank for s in specs)
            and bool(cls.fitting(specs))
        )

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Concatenate:
        return cls(axis=choice.one_of(cls.fitting(specs)))

    def output(self, specs: Sequence[Spec]) -> Spec:
        if not self.accepts(specs) or self.axis not in self.fitting(specs):
            raise ShapeError(f"a concatenate layer does not take {describe(specs)}")
        shape = list(specs[0].shape)
        place = -1 if self.axis == "last" else 0
        shape[place] = sum(s.shape[place] for s in specs)
        return Spec(tuple(shape))

    def forward(self, call: Call, *xs: Value) -> Value:
        if self.axis == "last":
            return xs[0].tape.apply("concatenate", *xs)
        rank = len(xs[0].shape)
        swapped = (0, rank - 1, *range(2, rank - 1), 1)
        turned = [x.apply("transpose", axes=swapped) for x in xs]
        return xs[0].tape.apply("concatenate", *turned).apply("transpose", axes=swapped)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Embedding, Flatten, Reshape, Add, Multiply, Concatenate)
