"""Learned tables: of positions, one that is also the last projection, one with a masked mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Layer,
    Parameter,
    Size,
    Spec,
)
from invariants.oracle.tape import Value


def takes_indices(specs: Sequence[Spec]) -> bool:
    """Whether `specs` is one sequence of indices."""
    return len(specs) == 1 and specs[0].vocabulary is not None and specs[0].rank == 1


def looked_up(call: Call, indices: Value) -> Value:
    """The rows of a table, (N, T) of indices -> (N, T, features)."""
    chosen = indices.data[0].astype(np.int64)
    return call.parameter("embeddings", looked_up=True).apply("take", indices=chosen)


def where_seen(seen: np.ndarray, a: Value, b: Value) -> Value:
    """a where the index is none of 0, b elsewhere; no gradient goes to what is not taken."""
    mask = np.broadcast_to(seen[..., None], a.shape).astype(np.float64)
    return a.tape.apply("where_positive", a.tape.constant(mask[None]), a, b)


@dataclass(frozen=True, kw_only=True)
class PositionalEmbedding(Layer):
    """x plus a learned row for each position, (T, F) -> (T, F) (arXiv 1705.03122, 3.1)."""

    kind: Literal["positional_embedding"] = "positional_embedding"

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 2

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return (Parameter("embeddings", specs[0].shape),)

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] + call.parameter("embeddings")


@dataclass(frozen=True, kw_only=True)
class TiedEmbedding(Layer):
    """Rows of a table by index, and logits by the same table transposed: (T,) -> (T, vocabulary).

    The table's gradient comes from both of its uses (Press & Wolf 2017, arXiv 1608.05859).
    """

    kind: Literal["tied_embedding"] = "tied_embedding"
    features: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> TiedEmbedding:
        return cls(features=choice.integer(1, 4))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return takes_indices(specs)

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape, specs[0].vocabulary or 1))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return (Parameter("embeddings", (specs[0].vocabulary or 1, self.features)),)

    def forward(self, call: Call, *xs: Value) -> Value:
        table = call.parameter("embeddings")
        # A value of its own: beside the projection's gradient that of the lookups is added up into
        # an array, so the tape must not count the table among those with a sparse gradient.
        whole = call.parameter("embeddings", looked_up=True)
        copy = whole.reshape(*whole.shape)
        rows = copy.apply("take", indices=xs[0].data[0].astype(np.int64))
        return rows @ table.apply("transpose", axes=(1, 0))


@dataclass(frozen=True, kw_only=True)
class MaskedMean(Layer):
    """Rows of a table by index, and the mean of those whose index is not 0: (T,) -> (features,).

    A sample of zeros alone has no mean.
    """

    kind: Literal["masked_mean"] = "masked_mean"
    frequency: ClassVar[int] = 2
    features: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> MaskedMean:
        return cls(features=choice.integer(1, 4))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return takes_indices(specs)

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """Where samples of zeros alone are rare."""
        return (specs[0].vocabulary or 1) ** specs[0].size >= 27

    def output(self, specs: Sequence[Spec]) -> Spec:
        super().output(specs)
        return Spec((self.features,))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return (Parameter("embeddings", (specs[0].vocabulary or 1, self.features)),)

    def forward(self, call: Call, *xs: Value) -> Value:
        rows, seen = looked_up(call, xs[0]), xs[0].data[0] != 0
        total = where_seen(seen, rows, rows.tape.lift(0.0)).sum(-2)
        return total / rows.tape.constant(seen.sum(axis=-1, keepdims=True)[None].astype(np.float64))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    PositionalEmbedding,
    TiedEmbedding,
    MaskedMean,
)
