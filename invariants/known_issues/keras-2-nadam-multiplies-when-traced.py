"""A step in a graph is documented to be the step: weights and gradients alike move alike."""

import keras
import tensorflow as tf

weights = [tf.Variable([0.0]) for _ in range(3)]
optimizer = keras.optimizers.Nadam(0.1)
optimizer.build(weights)
step = tf.function(lambda: optimizer.apply_gradients([(tf.ones(1), w) for w in weights]))
step()
assert weights[0].numpy() == weights[1].numpy() == weights[2].numpy()
