"""A tape within a tape is documented to give second derivatives: of sum(resize(x) ** 2) it is 8."""

import tensorflow as tf

x = tf.ones((1, 1, 1, 1))
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
        inner.watch(x)
        y = tf.reduce_sum(tf.image.resize(x, (2, 2)) ** 2)
    gradient = inner.gradient(y, x)
assert outer.gradient(gradient, x, unconnected_gradients="zero").numpy().item() == 8.0
