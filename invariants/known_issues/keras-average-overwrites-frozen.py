"""The weights of a frozen layer are documented not to be updated during training."""

import keras
import tensorflow as tf

frozen, trained = keras.Variable([0.0]), keras.Variable([0.0])
optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
for _ in range(2):
    optimizer.apply([tf.ones(1), tf.ones(1)], [frozen, trained])
frozen.trainable = False
optimizer.apply([tf.ones(1)], [trained])
assert frozen.numpy()[0] == -2.0
