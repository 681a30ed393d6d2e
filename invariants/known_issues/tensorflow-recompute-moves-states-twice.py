"""recompute_grad is documented to change memory alone: one call is one call, with gradients too."""

import tensorflow as tf

weight, calls = tf.Variable(1.0), tf.Variable(0, trainable=False)


@tf.recompute_grad
def model(x):
    calls.assign_add(1)
    return x * weight


with tf.GradientTape() as tape:
    y = model(tf.constant(1.0))
tape.gradient(y, weight)
assert calls.numpy() == 1
