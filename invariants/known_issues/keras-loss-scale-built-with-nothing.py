"""LossScaleOptimizer is documented to scale a loss: a step of nothing goes before any other."""

import keras
import tensorflow as tf

weight = keras.Variable([0.0])
optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=1.0)
optimizer.apply([], [])
optimizer.apply([tf.constant([1.0])], [weight])
assert weight.numpy()[0] == -1.0
