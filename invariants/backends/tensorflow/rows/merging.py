"""Merges of two values or more."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row

ROWS: dict[str, Lowering] = {
    "subtract": layer_row("keras.layers.Subtract("),
    "average": layer_row("keras.layers.Average("),
    "maximum": layer_row("keras.layers.Maximum("),
    "minimum": layer_row("keras.layers.Minimum("),
    "dot": layer_row(
        lambda layer, specs: f"keras.layers.Dot(axes={-1 if layer.over == 'features' else 1}, "
    ),
}
