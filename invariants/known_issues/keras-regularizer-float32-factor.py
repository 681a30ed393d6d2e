"""L2 is documented as l2 * reduce_sum(square(x)): of a single 1 it is l2."""

import keras
import tensorflow as tf

keras.config.set_floatx("float64")
assert keras.regularizers.L2(0.01)(tf.ones(1, tf.float64)).numpy() == 0.01
