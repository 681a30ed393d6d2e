"""leaky_relu is documented as alpha * x below zero, in the dtype of the features."""

import tensorflow as tf

assert tf.nn.leaky_relu(tf.constant([-1.0], tf.float64), alpha=0.2).numpy()[0] == -0.2
