"""A layer is documented to run in a graph as it does op by op."""

import keras
import tensorflow as tf

layer = keras.layers.SpectralNormalization(keras.layers.Dense(1))
layer.build((None, 1))
ran = False
try:
    tf.function(lambda: layer(tf.ones((1, 1)), training=True))()
    ran = True
except tf.errors.OperatorNotAllowedInGraphError:
    pass
assert ran
