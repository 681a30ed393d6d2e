"""gelu is documented as 0.5 * x * (1 + erf(x / sqrt(2))): erf(1) at sqrt(2)."""

import math

import tensorflow as tf

x = math.sqrt(2)
gelu = tf.nn.gelu(tf.constant([x], tf.float64)).numpy()[0]
assert abs(gelu - 0.5 * x * (1 + math.erf(1.0))) < 1e-14
