"""The gradient of a value is by the elements that it depends on."""

import tensorflow as tf

x = tf.Variable(tf.reshape([1.0, 2.0, 3.0], (1, 3, 1, 1, 1)))
kernel = tf.ones((1, 1, 1, 1, 1))
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.nn.conv3d(x, kernel, (1, 3, 1, 1, 1), "SAME"))
slopes = tf.reshape(tape.gradient(y, x), (-1,))
assert float(tf.reduce_sum(slopes * tf.reshape(x, (-1,)))) == float(y)
