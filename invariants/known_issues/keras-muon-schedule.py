"""learning_rate is documented to be a float or a schedule: a step moves the weight with both."""

import keras
import tensorflow as tf

keras.config.set_floatx("float64")
weight = keras.Variable([[1.0]], dtype="float64")
rate = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 1.0)
keras.optimizers.Muon(rate).apply([tf.ones((1, 1), tf.float64)], [weight])
assert weight.numpy()[0, 0] < 1.0
