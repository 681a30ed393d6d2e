"""trainable = True is documented to thaw a layer, and a tape to watch every trainable variable."""

import keras
import tensorflow as tf


class Outer(keras.layers.Layer):
    def call(self, x):
        return self.dense(x)


outer = Outer()
outer.dense = keras.layers.Dense(1)
outer.trainable = False
outer(keras.Input((1,)))
outer.trainable = True
with tf.GradientTape() as tape:
    loss = outer(tf.ones((1, 1)))
assert None not in tape.gradient(loss, outer.trainable_weights)
