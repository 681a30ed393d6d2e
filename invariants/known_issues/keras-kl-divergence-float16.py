"""kl_divergence is documented as y_true * log(y_true / y_pred): a target of 0 adds no slope."""

import keras
import numpy as np
import tensorflow as tf

y_true, y_pred = tf.constant([[0.0, 1.0]], tf.float16), tf.constant([[0.5, 0.5]], tf.float16)
with tf.GradientTape() as tape:
    tape.watch(y_pred)
    loss = keras.losses.kl_divergence(y_true, y_pred)
assert np.isfinite(tape.gradient(loss, y_pred)).all()
