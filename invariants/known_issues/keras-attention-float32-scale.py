"""dot_product_attention is documented as softmax(q · k * scale) · v, in the dtype of q, k and v."""

import keras
import numpy as np
import tensorflow as tf

keras.config.set_floatx("float64")
query = tf.ones((1, 1, 1, 1), tf.float64)
both = tf.constant([0.0, 1.0], tf.float64, shape=(1, 2, 1, 1))
attended = keras.ops.dot_product_attention(query, both, both, scale=0.1).numpy().item()
assert abs(attended - np.exp(0.1) / (1 + np.exp(0.1))) < 1e-14
