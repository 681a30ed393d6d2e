"""recompute_grad is documented to change memory alone: the gradient of y = mask * w is the mask."""

import keras
import numpy as np
import tensorflow as tf

weight, dropout = tf.Variable(tf.ones(64)), keras.layers.Dropout(0.5, seed=0)
with tf.GradientTape() as tape:
    y = tf.recompute_grad(lambda x: dropout(x * weight, training=True))(tf.ones(64))
assert np.array_equal(tape.gradient(y, weight), y)
