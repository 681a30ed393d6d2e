"""ScheduleFreeAdamW is documented as z - lr * g / sqrt(v), x the mean of z, y between z and x."""

import keras
import tensorflow as tf

y = keras.Variable([0.0])
optimizer = keras.optimizers.ScheduleFreeAdamW(1.0, beta_1=0.5, beta_2=0.5, epsilon=0.0)
for _ in range(2):
    optimizer.apply([tf.ones(1)], [y])
z, x = -2.0, (-1.0 - 2.0) / 2
assert y.numpy()[0] == (z + x) / 2
