"""keras.ops.add is documented to be numpy.add, with NumPy's broadcasting."""

import keras
import numpy as np

zeros, bias = np.zeros((1, 2, 2, 1), "float32"), np.array([[1.0], [2.0]], "float32")
assert np.array_equal(keras.ops.add(zeros, bias), np.add(zeros, bias))
