"""ForwardAccumulator is documented to give Jacobian-vector products: of a resize, a resize."""

import tensorflow as tf

x = tf.ones((1, 1, 1, 1))
with tf.autodiff.ForwardAccumulator(x, x) as accumulator:
    y = tf.image.resize(x, (2, 2))
assert accumulator.jvp(y) is not None
