"""Depthwise and separable convolution."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row
from invariants.backends.tensorflow.rows.convolution import windows_of


def _depthwise(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.kernel_size}, "
        f"{windows_of(layer, depth_multiplier=layer.depth_multiplier)}, "
    )


def _separable(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.filters}, {layer.kernel_size}, "
        f"{windows_of(layer, depth_multiplier=layer.depth_multiplier)}, "
    )


_KERNELS = ("depthwise_kernel", "pointwise_kernel")

ROWS: dict[str, Lowering] = {
    "depthwise_conv2d": layer_row(_depthwise("DepthwiseConv2D"), "kernel", "bias"),
    "separable_conv2d": layer_row(_separable("SeparableConv2D"), *_KERNELS, "bias"),
    "depthwise_conv1d": layer_row(_depthwise("DepthwiseConv1D"), "kernel", "bias"),
    "separable_conv1d": layer_row(_separable("SeparableConv1D"), *_KERNELS, "bias"),
}
