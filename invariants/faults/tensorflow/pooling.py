"""Pools: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.tensorflow.gradients import drifts, gradient_times, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "max_pool_splits_ties": Row(
        "Equal maxima of a pool share the gradient.",
        ("keras.layers.MaxPooling2D.call",),
        Wanted(layer="max_pool2d", grain="ties"),
    ),
    "global_max_takes_first": Row(
        "Of equal maxima of a global pool the first takes all of the gradient.",
        ("keras.layers.GlobalMaxPooling1D.call", "keras.layers.GlobalMaxPooling2D.call"),
        Wanted(layer="global_max_pool2d", grain="ties"),
    ),
    "avg_pool_forgets_its_size": Row(
        "The gradient of an average pool in time is that of a sum.",
        ("keras.layers.AveragePooling1D.call",),
        Wanted(layer="avg_pool1d"),
    ),
    "avg_pool_drifts": Row(
        "An average pool hands on 1.00001 times the gradient.",
        (
            "keras.layers.AveragePooling1D.call",
            "keras.layers.AveragePooling2D.call",
        ),
        Wanted(layer="avg_pool2d"),
    ),
    "max_pool_drifts": Row(
        "A maximum pool hands on 1.00001 times the gradient.",
        (
            "keras.layers.MaxPooling1D.call",
            "keras.layers.MaxPooling2D.call",
        ),
        Wanted(layer="max_pool2d"),
    ),
}


def max_pool_splits_ties(call: Any) -> Any:
    import tensorflow as tf

    def splitting(self: Any, x: Any) -> Any:
        value = call(self, x)
        if self.padding != "valid":  # patches are padded with zeros, windows with nothing
            return value
        sizes, strides = [1, *self.pool_size, 1], [1, *self.strides, 1]
        patches = tf.image.extract_patches(x, sizes, strides, [1, 1, 1, 1], "VALID")
        windows = tf.reshape(patches, [*patches.shape[:3], -1, x.shape[3]])
        return with_gradient_of(value, tf.reduce_max(windows, 3))

    return splitting


def global_max_takes_first(call: Any) -> Any:
    import tensorflow as tf

    def first(self: Any, x: Any) -> Any:
        places = tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])
        chosen = tf.one_hot(tf.argmax(places, 1), tf.shape(places)[1], axis=1, dtype=x.dtype)
        return with_gradient_of(call(self, x), tf.reduce_sum(places * chosen, 1))

    return first


avg_pool_forgets_its_size = partial(gradient_times, lambda layer, x, y: layer.pool_size[0])
avg_pool_drifts = max_pool_drifts = drifts


FAULTS = faults("tensorflow", _ROWS, globals())
