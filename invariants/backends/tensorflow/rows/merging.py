"""Merges of two values or more."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened


def _dot(layer: Any, specs: Any) -> str:
    normalize = {"normalize": True} if layer.normalize else {}
    return opened("Dot", axes=-1 if layer.over == "features" else 1, **normalize)


ROWS: dict[str, Lowering] = {
    "subtract": layer_row("keras.layers.Subtract("),
    "average": layer_row("keras.layers.Average("),
    "maximum": layer_row("keras.layers.Maximum("),
    "minimum": layer_row("keras.layers.Minimum("),
    "dot": layer_row(_dot),
}
