"""moving_mean is documented to be moving_mean * momentum + mean(batch) * (1 - momentum)."""

import keras
import numpy as np

norm = keras.layers.BatchNormalization(momentum=0.9, dtype="float64")
norm(np.ones((2, 1)), training=True)
assert abs(norm.moving_mean.numpy()[0] - 0.1) < 1e-12
