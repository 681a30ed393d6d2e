"""How Keras spells each layer: one table, a file for each family."""

from __future__ import annotations

from invariants.backends.source import Lowering, joined_tables
from invariants.backends.tensorflow.rows import (
    activations,
    adapters,
    attention,
    convolution,
    dense,
    depthwise,
    embedding,
    grouping,
    indexing,
    lora,
    merging,
    noise,
    normalization,
    piecewise,
    pooling,
    prompting,
    recurrent,
    resizing,
    shaping,
    skipping,
    spectral,
    transformers,
    transposed,
    volumes,
    weight_norm,
)
from invariants.backends.tensorflow.rows.common import VALUE_AXES

LOWERINGS: dict[str, Lowering] = joined_tables(
    dense.ROWS,
    activations.ROWS,
    normalization.ROWS,
    convolution.ROWS,
    depthwise.ROWS,
    pooling.ROWS,
    transposed.ROWS,
    volumes.ROWS,
    resizing.ROWS,
    indexing.ROWS,
    shaping.ROWS,
    piecewise.ROWS,
    grouping.ROWS,
    noise.ROWS,
    merging.ROWS,
    lora.ROWS,
    adapters.ROWS,
    weight_norm.ROWS,
    recurrent.ROWS,
    attention.ROWS,
    transformers.ROWS,
    embedding.ROWS,
    skipping.ROWS,
    prompting.ROWS,
    spectral.ROWS,
)

__all__ = ["LOWERINGS", "VALUE_AXES"]
