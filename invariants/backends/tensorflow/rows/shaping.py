"""Layers that look up, move or merge elements."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row

ROWS: dict[str, Lowering] = {
    "embedding": layer_row(
        lambda layer, specs: f"keras.layers.Embedding({specs[0].vocabulary}, {layer.features}, ",
        "embeddings",
    ),
    "flatten": layer_row("keras.layers.Flatten("),
    "reshape": layer_row(lambda layer, specs: f"keras.layers.Reshape({layer.shape}, "),
    "add": layer_row("keras.layers.Add("),
    "multiply": layer_row("keras.layers.Multiply("),
    "concatenate": layer_row(
        lambda layer, specs: (
            "keras.layers.Concatenate(" + ("" if layer.axis == "last" else "axis=1, ")
        )
    ),
}
