"""In float64 the product of the momenta of Nadam is 0.9 * (1 - 0.96 / 2), to the last digits."""

import keras
import tensorflow as tf

weight = tf.Variable([0.0], dtype="float64")
optimizer = keras.optimizers.Nadam(0.1)
optimizer.apply_gradients([(tf.ones(1, "float64"), weight)])
assert abs(float(optimizer._u_product) - 0.9 * (1 - 0.96 / 2)) < 1e-12
