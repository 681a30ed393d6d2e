"""PReLU is documented as alpha * x for x < 0 and x for x >= 0: with an alpha of 1 it is x."""

import keras
import tensorflow as tf

x = tf.constant([[0.0]])
layer = keras.layers.PReLU(alpha_initializer="ones")
with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer(x)
assert tape.gradient(y, x).numpy()[0, 0] == 1.0
