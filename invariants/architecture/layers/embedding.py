"""Learned tables: of positions, and one that is also the last projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.oracle.tape import Value


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
        return len(specs) == 1 and specs[0].vocabulary is not None and specs[0].rank == 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape, specs[0].vocabulary or 1))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return (Parameter("embeddings", (specs[0].vocabulary or 1, self.features)),)

    def forward(self, call: Call, *xs: Value) -> Value:
        table = call.parameter("embeddings")
        # A value of its own: beside the projection's gradient that of the lookups is added up into
        # an array, so the tape must not count the table among those with a sparse gradient.
        copy = table.reshape(*table.shape)
        rows = copy.apply("take", indices=xs[0].data[0].astype(np.int64))
        return rows @ table.apply("transpose", axes=(1, 0))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (PositionalEmbedding, TiedEmbedding)
