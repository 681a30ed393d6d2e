"""get_config is documented to give what from_config makes the same loss of."""

import keras
import numpy as np

huber = keras.losses.Huber(delta=0.5)
copy = keras.losses.Huber.from_config(huber.get_config())
assert copy(np.zeros((1, 1)), np.ones((1, 1))) == huber(np.zeros((1, 1)), np.ones((1, 1)))
