"""clipvalue is documented to clip the gradient of each weight to this value at most."""

import keras
import tensorflow as tf

table = keras.Variable([[0.0]])
gradient = tf.IndexedSlices(tf.ones((2, 1)), tf.constant([0, 0]), tf.constant([1, 1]))
keras.optimizers.SGD(1.0, clipvalue=1.0).apply([gradient], [table])
assert table.numpy()[0, 0] == -1.0
