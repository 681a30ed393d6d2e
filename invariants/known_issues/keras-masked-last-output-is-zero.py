"""RNN documents zero_output_for_mask to be used with return_sequences=True alone."""

import keras
import numpy as np

values = []
for zero_output_for_mask in (False, True):
    keras.utils.set_random_seed(0)
    layer = keras.layers.LSTM(1, zero_output_for_mask=zero_output_for_mask)
    values.append(layer(np.ones((1, 2, 1), "float32"), mask=np.array([[True, False]])))
assert np.array_equal(values[0], values[1])
