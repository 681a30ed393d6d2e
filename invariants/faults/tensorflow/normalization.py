"""Norms: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.tensorflow.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_BATCH_NORM = ("keras.layers.BatchNormalization.call",)

_ROWS = {
    "layer_norm_forgets_mean": Row(
        "The backward pass of layer norm drops the term of the mean.",
        ("keras.layers.LayerNormalization.call",),
    ),
    "layer_norm_over_all_blocks": Row(
        "A layer norm over several axes hands no gradient to its input.",
        ("keras.layers.LayerNormalization.call",),
        Wanted(layer="layer_norm"),
    ),
    "batch_norm_constant_moments": Row(
        "The backward pass of batch norm takes the batch's moments for constants.", _BATCH_NORM
    ),
    "group_norm_constant_moments": Row(
        "The backward pass of group norm takes the moments for constants.",
        ("keras.layers.GroupNormalization.call",),
        Wanted(layer="group_norm"),
    ),
    "layer_norm_drifts": Row(
        "What a layer norm gives gets 1.00001 times its gradient.",
        ("keras.layers.LayerNormalization.call",),
        Wanted(layer="layer_norm"),
    ),
    "batch_norm_drifts": Row(
        "What a batch norm gives gets 1.00001 times its gradient.",
        ("keras.layers.BatchNormalization.call",),
    ),
    "group_norm_drifts": Row(
        "What a group norm gives gets 1.00001 times its gradient.",
        ("keras.layers.GroupNormalization.call",),
        Wanted(layer="group_norm"),
    ),
    "rms_norm_drifts": Row(
        "What an RMS norm gives gets 1.00001 times its gradient.",
        ("keras.layers.RMSNormalization.call",),
        Wanted(layer="rms_norm"),
    ),
    "unit_normalization_drifts": Row(
        "What UnitNormalization gives gets 1.00001 times its gradient.",
        ("keras.layers.UnitNormalization.call",),
        Wanted(layer="unit_normalization"),
    ),
    "spectral_normalization_drifts": Row(
        "What a layer under SpectralNormalization gives gets 1.00001 times its gradient.",
        ("keras.layers.SpectralNormalization.call",),
        Wanted(layer="spectral_normalization_dense"),
    ),
    "weight_norm_drifts": Row(
        "What keras.ops.sqrt gives, the length in a weight norm, gets 1.00001 times its gradient.",
        ("keras.ops.sqrt",),
        Wanted(layer="weight_norm_dense"),
    ),
}


def _affine_of(norm: Any, x: Any) -> Any:
    y = x if norm.gamma is None else x * norm.gamma
    return y if norm.beta is None else y + norm.beta


def layer_norm_forgets_mean(call: Any) -> Any:
    import tensorflow as tf

    def forgetful(self: Any, x: Any) -> Any:
        axes = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        mean, variance = tf.nn.moments(x, axes, keepdims=True)
        centred = x - tf.stop_gradient(mean)
        surrogate = _affine_of(self, centred * tf.math.rsqrt(variance + self.epsilon))
        return with_gradient_of(call(self, x), surrogate)

    return forgetful


def layer_norm_over_all_blocks(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, x: Any) -> Any:
        several = not isinstance(self.axis, int) and len(self.axis) > 1
        return call(self, tf.stop_gradient(x) if several else x)

    return blocking


def batch_norm_constant_moments(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        value = call(self, x, training, mask)
        if not (training and self.trainable):
            return value
        mean, variance = map(tf.stop_gradient, tf.nn.moments(x, list(range(len(x.shape) - 1))))
        scale = tf.math.rsqrt(variance + self.epsilon)
        return with_gradient_of(value, _affine_of(self, (x - mean) * scale))

    return constant


def group_norm_constant_moments(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, x: Any) -> Any:
        shape = [-1, *x.shape[1:-1], self.groups, x.shape[-1] // self.groups]
        grouped = tf.reshape(x, shape)
        axes = [axis for axis in range(1, len(shape)) if axis != len(shape) - 2]
        mean, variance = map(tf.stop_gradient, tf.nn.moments(grouped, axes, keepdims=True))
        normal = (grouped - mean) * tf.math.rsqrt(variance + self.epsilon)
        surrogate = _affine_of(self, tf.reshape(normal, tf.shape(x)))
        return with_gradient_of(call(self, x), surrogate)

    return constant


layer_norm_drifts = batch_norm_drifts = group_norm_drifts = rms_norm_drifts = drifts
unit_normalization_drifts = spectral_normalization_drifts = weight_norm_drifts = drifts


FAULTS = faults("tensorflow", _ROWS, globals())
