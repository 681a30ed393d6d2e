"""Pooling."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row


def _pool(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.pool_size}, "
        f"{arguments(strides=layer.strides, padding=layer.padding)}, "
    )


ROWS: dict[str, Lowering] = {
    "max_pool2d": layer_row(_pool("MaxPooling2D")),
    "avg_pool2d": layer_row(_pool("AveragePooling2D")),
    "max_pool1d": layer_row(_pool("MaxPooling1D")),
    "avg_pool1d": layer_row(_pool("AveragePooling1D")),
    "global_avg_pool2d": layer_row("keras.layers.GlobalAveragePooling2D("),
    "global_avg_pool1d": layer_row("keras.layers.GlobalAveragePooling1D("),
    "global_max_pool2d": layer_row("keras.layers.GlobalMaxPooling2D("),
    "global_max_pool1d": layer_row("keras.layers.GlobalMaxPooling1D("),
}
