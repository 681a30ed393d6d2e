"""Convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    return (
        f"keras.layers.Conv2D({layer.filters}, {layer.kernel_size}, "
        + arguments(
            strides=layer.strides,
            padding=layer.padding,
            groups=layer.groups,
            use_bias=layer.use_bias,
        )
        + ", "
    )


def _pool(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.pool_size}, {arguments(strides=layer.strides)}, "
    )


ROWS: dict[str, Lowering] = {
    "conv2d": layer_row(_conv, "kernel", "bias"),
    "max_pool2d": layer_row(_pool("MaxPooling2D")),
    "avg_pool2d": layer_row(_pool("AveragePooling2D")),
    "global_avg_pool2d": layer_row("keras.layers.GlobalAveragePooling2D("),
}
