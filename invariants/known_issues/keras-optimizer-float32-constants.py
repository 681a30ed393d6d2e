"""SGD is documented as velocity = momentum * velocity - lr * g: after -1, with a g of 0, -0.9."""

import keras
import tensorflow as tf

keras.config.set_floatx("float64")
weight = keras.Variable([0.0], dtype="float64")
optimizer = keras.optimizers.SGD(1.0, momentum=0.9)
optimizer.apply([tf.constant([1.0], tf.float64)], [weight])
optimizer.apply([tf.constant([0.0], tf.float64)], [weight])
assert optimizer.momentums[0].numpy()[0] == -0.9
