"""Forward and reverse mode are documented as two ways to the same derivative."""

import tensorflow as tf

x = tf.reshape([1.0, 2.0, 3.0], (1, 3, 1, 1, 1))
kernel = tf.ones((1, 1, 1, 1, 1))
with tf.autodiff.ForwardAccumulator(x, x) as forward, tf.GradientTape() as tape:
    tape.watch(x)
    y = tf.nn.conv3d(x, kernel, (1, 3, 1, 1, 1), "SAME")
assert float(tf.reduce_sum(forward.jvp(y))) == float(tf.reduce_sum(tape.gradient(y, x) * x))
