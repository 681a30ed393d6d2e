"""moving_var is documented to follow var(batch)."""

import keras
import numpy as np

norm = keras.layers.BatchNormalization(momentum=0.5)
norm(np.array([0.0, 2.0], "float32").reshape(2, 1, 1, 1), training=True)
assert norm.moving_variance.numpy()[0] == 0.5 * 1.0 + 0.5 * 1.0  # it was 1, and so is the batch's
