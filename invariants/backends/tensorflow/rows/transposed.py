"""Transposed convolution."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row


def _transposed(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.filters}, {layer.kernel_size}, "
        + arguments(
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation,
            use_bias=layer.use_bias,
        )
        + ", "
    )


ROWS: dict[str, Lowering] = {
    "conv2d_transpose": layer_row(_transposed("Conv2DTranspose"), "kernel", "bias"),
    "conv1d_transpose": layer_row(_transposed("Conv1DTranspose"), "kernel", "bias"),
}
