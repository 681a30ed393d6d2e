"""finalize_variable_values is documented to give each weight its own average."""

import keras
import tensorflow as tf

first, second = keras.Variable([1.0]), keras.Variable([3.0])
optimizer = keras.optimizers.SGD(0.0, use_ema=True)
optimizer.apply([tf.ones(1), tf.ones(1)], [first, second])
first.trainable = False
optimizer.finalize_variable_values([v for v in (first, second) if v.trainable])
assert second.numpy()[0] == 3.0
