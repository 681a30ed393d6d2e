"""tf.function is documented to trace what it is given and to run that: here x times 2, or raise."""

import contextlib

import tensorflow as tf

weights = []


@tf.function
def double(x):
    if not weights:
        weights.append(tf.Variable(2.0))
        raise ValueError
    return x * weights[0]


with contextlib.suppress(ValueError):
    double(tf.constant(1.0))
assert double(tf.constant(1.0)) == 2.0
