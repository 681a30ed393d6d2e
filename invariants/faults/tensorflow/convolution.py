"""Convolutions: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import (
    drifts,
    frozen_blocks,
    frozen_scales,
    with_gradient_of,
)
from invariants.generate.cases import Wanted

_ROWS = {
    "frozen_conv_blocks": Row(
        "A frozen convolution hands no gradient to its input.", ("keras.layers.Conv2D.call",)
    ),
    "frozen_conv1d_blocks": Row(
        "A frozen convolution in time hands no gradient to its input.",
        ("keras.layers.Conv1D.call",),
        Wanted(layer="conv1d"),
    ),
    "frozen_conv3d_drifts": Row(
        "A frozen convolution of volumes hands 1.00001 times the gradient to its input.",
        ("keras.layers.Conv3D.call",),
        Wanted(layer="conv3d"),
    ),
    "frozen_depthwise_conv_blocks": Row(
        "A frozen depthwise convolution hands no gradient to its input.",
        ("keras.layers.DepthwiseConv2D.call",),
        Wanted(layer="depthwise_conv2d"),
    ),
    "depthwise_conv1d_drifts": Row(
        "What a depthwise convolution in time gives gets 1.00001 times its gradient.",
        ("keras.layers.DepthwiseConv1D.call", "keras.layers.SeparableConv1D.call"),
        Wanted(layer="depthwise_conv1d"),
    ),
    "frozen_transposed_conv_drifts": Row(
        "A frozen transposed convolution hands 1.00001 times the gradient to its input.",
        (
            "keras.layers.Conv1DTranspose.call",
            "keras.layers.Conv2DTranspose.call",
            "keras.layers.Conv3DTranspose.call",
        ),
        Wanted(layer="conv2d_transpose"),
    ),
    "conv_padding_shifts": Row(
        "The gradient to the input of a padded convolution is one column off.",
        ("keras.layers.Conv2D.call",),
    ),
    "conv_drifts": Row(
        "What a convolution gives gets 1.00001 times its gradient.",
        (
            "keras.layers.Conv1D.call",
            "keras.layers.Conv2D.call",
        ),
    ),
}


def conv_padding_shifts(call: Any) -> Any:
    import tensorflow as tf

    def shifted(self: Any, x: Any) -> Any:
        if self.padding == "same" and max(self.kernel_size) > 1:
            x = with_gradient_of(x, tf.roll(x, 1, 2))
        return call(self, x)

    return shifted


frozen_conv_blocks = frozen_blocks
frozen_conv1d_blocks = frozen_blocks
frozen_depthwise_conv_blocks = frozen_blocks
frozen_transposed_conv_drifts = partial(frozen_scales, DRIFT)
frozen_conv3d_drifts = partial(frozen_scales, DRIFT)
conv_drifts = depthwise_conv1d_drifts = drifts


FAULTS = faults("tensorflow", _ROWS, globals())
