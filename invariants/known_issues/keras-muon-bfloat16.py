"""Muon is documented for matrices, and says nothing of dtypes: a step moves bfloat16 as well."""

import keras
import tensorflow as tf

keras.config.set_floatx("bfloat16")
weight = keras.Variable([[1.0]], dtype="bfloat16")
keras.optimizers.Muon(0.1).apply([tf.ones((1, 1), tf.bfloat16)], [weight])
assert weight.numpy()[0, 0] < 1.0
