"""celu is documented as max(0, x) + min(0, alpha * (exp(x / alpha) - 1)): its slope at 0 is 1."""

import keras
import tensorflow as tf

x = tf.constant([0.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = keras.ops.celu(x)
assert tape.gradient(y, x).numpy()[0] == 1.0
