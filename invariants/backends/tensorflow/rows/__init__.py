"""How Keras spells each layer: one table, a file for each family."""

from __future__ import annotations

from invariants.backends.source import Lowering, joined_tables
from invariants.backends.tensorflow.rows import (
    activations,
    adapters,
    convolution,
    dense,
    grouping,
    merging,
    noise,
    normalization,
    piecewise,
    shaping,
)
from invariants.backends.tensorflow.rows.common import VALUE_AXES

LOWERINGS: dict[str, Lowering] = joined_tables(
    dense.ROWS,
    activations.ROWS,
    piecewise.ROWS,
    normalization.ROWS,
    grouping.ROWS,
    noise.ROWS,
    convolution.ROWS,
    shaping.ROWS,
    merging.ROWS,
    adapters.ROWS,
)

__all__ = ["LOWERINGS", "VALUE_AXES"]
