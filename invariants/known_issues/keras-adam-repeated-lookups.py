"""Adam is documented to average the square of the gradient: that of two lookups is (1 + 1) ** 2."""

import keras
import tensorflow as tf

table = keras.Variable([[0.0]])
optimizer = keras.optimizers.Adam(beta_2=0.5)
gradient = tf.IndexedSlices(tf.ones((2, 1)), tf.constant([0, 0]), tf.constant([1, 1]))
optimizer.apply([gradient], [table])
assert optimizer._velocities[0].numpy()[0, 0] == 0.5 * (1 + 1) ** 2
