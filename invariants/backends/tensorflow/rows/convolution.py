"""Convolution."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row


def windows_of(layer: Any, **options: Any) -> str:
    dilation = {} if layer.dilation in (1, (1, 1)) else {"dilation_rate": layer.dilation}
    return arguments(
        strides=layer.strides,
        padding=layer.padding,
        **dilation,
        **options,
        use_bias=layer.use_bias,
    )


def _conv(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.filters}, {layer.kernel_size}, "
        f"{windows_of(layer, groups=layer.groups)}, "
    )


ROWS: dict[str, Lowering] = {
    "conv2d": layer_row(_conv("Conv2D"), "kernel", "bias"),
    "conv1d": layer_row(_conv("Conv1D"), "kernel", "bias"),
}
