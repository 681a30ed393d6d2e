"""tf.function is documented to compute what its Python function does: the same tangents."""

import numpy as np
import tensorflow as tf


def tangent(x):
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = tf.nn.max_pool2d(2.0 * x, 2, 1, "SAME")
    return accumulator.jvp(y)


x = tf.reshape(tf.range(4.0), (1, 2, 2, 1))
assert np.array_equal(tf.function(tangent)(x), tangent(x))
