"""UnitNormalization is documented to give unit vectors, in float16 as well: nothing to warn of."""

import warnings

import keras
import tensorflow as tf

layer = keras.layers.UnitNormalization(dtype="float16")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    tf.function(layer)(tf.ones((1, 2), tf.float16))
assert not caught
