"""Transposed convolution."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row


def _extra(layer: Any) -> dict[str, Any]:
    """Keras's output_padding, which where it is said counts from the last element that is met."""
    if layer.extra in (0, (0, 0), (0, 0, 0)):
        return {}
    if isinstance(layer.extra, int):
        return {"output_padding": layer.extra}
    axes = zip(layer.kernel_size, layer.strides, layer.dilation, layer.extra, strict=True)
    return {"output_padding": tuple(max(s - (k - 1) * d - 1, 0) + extra for k, s, d, extra in axes)}


def _transposed(kind: str) -> Any:
    return lambda layer, specs: (
        f"keras.layers.{kind}({layer.filters}, {layer.kernel_size}, "
        + arguments(
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation,
            use_bias=layer.use_bias,
            **_extra(layer),
        )
        + ", "
    )


ROWS: dict[str, Lowering] = {
    "conv2d_transpose": layer_row(_transposed("Conv2DTranspose"), "kernel", "bias"),
    "conv3d_transpose": layer_row(_transposed("Conv3DTranspose"), "kernel", "bias"),
    "conv1d_transpose": layer_row(_transposed("Conv1DTranspose"), "kernel", "bias"),
}
