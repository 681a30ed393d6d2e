"""recompute_grad is documented to change memory alone: what y does not depend on has None."""

import tensorflow as tf

used, unused = tf.Variable(1.0), tf.Variable(1.0)
with tf.GradientTape() as tape:
    y, _ = tf.recompute_grad(lambda x: (x * used, x * unused))(tf.constant(1.0))
assert tape.gradient(y, unused) is None
