"""normalize is documented as x / max(|x|, epsilon): linear near zero, where its curvature is 0."""

import keras
import numpy as np
import tensorflow as tf

x = tf.zeros((1, 2))
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
        inner.watch(x)
        y = keras.ops.normalize(x)
    gradient = inner.gradient(y, x)
assert not np.isnan(outer.gradient(gradient, x)).any()
