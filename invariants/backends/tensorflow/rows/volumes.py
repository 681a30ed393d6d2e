"""Convolution and pooling over volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    dilation = {} if layer.dilation == (1, 1, 1) else {"dilation_rate": layer.dilation}
    options = arguments(
        strides=layer.strides,
        padding=layer.padding,
        **dilation,
        groups=layer.groups,
        use_bias=layer.use_bias,
    )
    return f"keras.layers.Conv3D({layer.filters}, {layer.kernel_size}, {options}, "


ROWS: dict[str, Lowering] = {
    "conv3d": layer_row(_conv, "kernel", "bias"),
    "global_avg_pool3d": layer_row("keras.layers.GlobalAveragePooling3D("),
    "global_max_pool3d": layer_row("keras.layers.GlobalMaxPooling3D("),
}
