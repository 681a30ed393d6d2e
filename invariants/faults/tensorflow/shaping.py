"""What resizes, copies, joins or looks up: functions from an original to what replaces it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import drifts, gradient_times, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "up_sampling_averages": Row(
        "The gradient of an upsampled element is the mean over its copies.",
        ("keras.layers.UpSampling1D.call", "keras.layers.UpSampling2D.call"),
        Wanted(layer="up_sampling2d"),
    ),
    "interpolation_takes_nearest": Row(
        "The gradient of an interpolation goes to the nearest element alone.",
        ("keras.layers.UpSampling2D.call",),
        Wanted(layer="up_sampling2d"),
    ),
    "padding_drifts": Row(
        "The gradient through a padding with zeros is 1.00001 times too large.",
        ("keras.layers.ZeroPadding1D.call", "keras.layers.ZeroPadding2D.call"),
        Wanted(layer="zero_padding2d"),
    ),
    "repeat_counts_once": Row(
        "Of the copies that RepeatVector makes only the first hands back a gradient.",
        ("keras.layers.RepeatVector.call",),
        Wanted(layer="repeat_vector"),
    ),
    "embedding_counts_once": Row(
        "An index that repeats in a batch counts once in the gradient of an embedding.",
        ("keras.layers.Embedding.call",),
        Wanted(layer="embedding"),
    ),
    "maximum_splits_ties": Row(
        "Equal maxima share the gradient.",
        ("keras.layers.Maximum.call",),
        Wanted(layer="maximum", grain="ties"),
    ),
    "take_drifts": Row(
        "What keras.ops.take looks up has 1.00001 times its gradient.",
        ("keras.ops.take",),
        Wanted(layer="lora_embedding"),
    ),
    "broadcast_drifts": Row(
        "What keras.ops.broadcast_to copies has 1.00001 times its gradient.",
        ("keras.ops.broadcast_to",),
        Wanted(layer="prompt_tokens"),
    ),
    "reshape_drifts": Row(
        "What keras.ops.reshape reshapes has 1.00001 times its gradient.",
        ("keras.ops.reshape",),
        Wanted(layer="reshape"),
    ),
    "up_sampling_drifts": Row(
        "What is upsampled gets 1.00001 times its gradient.",
        (
            "keras.layers.UpSampling1D.call",
            "keras.layers.UpSampling2D.call",
        ),
        Wanted(layer="up_sampling2d"),
    ),
    "repeat_drifts": Row(
        "What RepeatVector copies gets 1.00001 times its gradient.",
        ("keras.layers.RepeatVector.call",),
        Wanted(layer="repeat_vector"),
    ),
    "concatenate_drifts": Row(
        "What Concatenate joins gets 1.00001 times its gradient.",
        ("keras.layers.Concatenate.call",),
        Wanted(layer="concatenate"),
    ),
    "split_drifts": Row(
        "What keras.ops.split cuts off gets 1.00001 times its gradient.",
        ("keras.ops.split",),
        Wanted(layer="split"),
    ),
    "sum_drifts": Row(
        "What keras.ops.sum adds up gets 1.00001 times its gradient.",
        ("keras.ops.sum",),
        Wanted(layer="weight_norm_dense"),
    ),
    "mean_drifts": Row(
        "What keras.ops.mean averages gets 1.00001 times its gradient.",
        ("keras.ops.mean",),
        Wanted(layer="squeeze_excite"),
    ),
    "maximum_drifts": Row(
        "Maximum and Minimum hand on 1.00001 times the gradient.",
        (
            "keras.layers.Maximum.call",
            "keras.layers.Minimum.call",
        ),
        Wanted(layer="maximum"),
    ),
    "embedding_drifts": Row(
        "What an embedding looks up gets 1.00001 times its gradient.",
        ("keras.layers.Embedding.call",),
        Wanted(layer="embedding"),
    ),
}


def repeat_counts_once(call: Any) -> Any:
    import tensorflow as tf

    def once(self: Any, x: Any) -> Any:
        value = call(self, x)
        others = tf.stop_gradient(value[:, 1:])
        return with_gradient_of(value, tf.concat([value[:, :1], others], 1))

    return once


def embedding_counts_once(call: Any) -> Any:
    import tensorflow as tf

    def once(self: Any, indices: Any) -> Any:
        value = call(self, indices)
        flat = tf.reshape(indices, [-1])
        equal = tf.cast(flat[:, None] == flat[None, :], value.dtype)
        earlier = tf.linalg.band_part(equal, -1, 0) - tf.linalg.band_part(equal, 0, 0)
        first = tf.cast(tf.reduce_sum(earlier, 1) == 0.0, value.dtype)
        return with_gradient_of(value, value * tf.reshape(first, [*value.shape[:-1], 1]))

    return once


def maximum_splits_ties(call: Any) -> Any:
    import tensorflow as tf

    def splitting(self: Any, inputs: Any) -> Any:
        return with_gradient_of(call(self, inputs), tf.reduce_max(tf.stack(inputs), 0))

    return splitting


def broadcast_drifts(broadcast_to: Any) -> Any:
    def drifting(x: Any, shape: Any) -> Any:
        value = broadcast_to(x, shape)
        return with_gradient_of(value, DRIFT * value)

    return drifting


def reshape_drifts(reshape: Any) -> Any:
    import tensorflow as tf

    def drifting(x: Any, newshape: Any) -> Any:
        value = reshape(x, newshape)
        return with_gradient_of(value, DRIFT * value) if tf.is_tensor(value) else value

    return drifting


def take_drifts(take: Any) -> Any:
    import tensorflow as tf

    def drifting(x: Any, indices: Any, axis: Any = None) -> Any:
        rows = take(x, indices, axis=axis)
        return with_gradient_of(rows, DRIFT * rows) if tf.is_tensor(rows) else rows

    return drifting


up_sampling_averages = partial(
    gradient_times, lambda layer, x, y: math.prod(x.shape[1:]) / math.prod(y.shape[1:])
)


def interpolation_takes_nearest(call: Any) -> Any:
    import tensorflow as tf

    def nearest(self: Any, x: Any) -> Any:
        value = call(self, x)
        if self.interpolation == "nearest":
            return value
        return with_gradient_of(value, tf.repeat(tf.repeat(x, self.size[0], 1), self.size[1], 2))

    return nearest


padding_drifts = partial(gradient_times, lambda layer, x, y: DRIFT)
up_sampling_drifts = repeat_drifts = concatenate_drifts = drifts
sum_drifts = mean_drifts = maximum_drifts = embedding_drifts = drifts


def split_drifts(split: Any) -> Any:
    def drifting(*args: Any, **options: Any) -> Any:
        return [with_gradient_of(v, DRIFT * v) for v in split(*args, **options)]

    return drifting


FAULTS = faults("tensorflow", _ROWS, globals())
