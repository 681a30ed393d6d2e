"""How torch spells each layer: one table, a file for each family."""

from __future__ import annotations

from invariants.backends.source import Lowering, joined_tables
from invariants.backends.torch.rows import (
    activations,
    attention,
    convolution,
    dense,
    embedding,
    normalization,
    recurrent,
    shaping,
)
from invariants.backends.torch.rows.common import VALUE_AXES

LOWERINGS: dict[str, Lowering] = joined_tables(
    dense.ROWS,
    activations.ROWS,
    normalization.ROWS,
    convolution.ROWS,
    recurrent.ROWS,
    attention.ROWS,
    embedding.ROWS,
    shaping.ROWS,
)

__all__ = ["LOWERINGS", "VALUE_AXES"]
