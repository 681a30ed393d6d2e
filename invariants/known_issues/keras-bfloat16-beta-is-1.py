"""Adam is documented to divide a gradient by its own size at first: a step as long as the rate."""

import keras
import tensorflow as tf

weight = keras.Variable([0.0], dtype="bfloat16")
keras.optimizers.Adam(0.1).apply([tf.ones(1, tf.bfloat16)], [weight])
assert weight.numpy()[0] < 0
