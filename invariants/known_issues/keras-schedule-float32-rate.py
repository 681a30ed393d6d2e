"""SGD is documented as w - lr * g, and this schedule as 0.1 * 1 ** step: 0 moves to -0.1."""

import keras
import tensorflow as tf

keras.config.set_floatx("float64")
weight = keras.Variable([0.0], dtype="float64")
rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=1.0)
keras.optimizers.SGD(rate).apply([tf.ones(1, tf.float64)], [weight])
assert weight.numpy()[0] == -0.1
