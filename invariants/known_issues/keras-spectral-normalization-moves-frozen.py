"""The weights of a frozen layer are documented to stay as they are during training."""

import keras
import numpy as np

layer = keras.layers.SpectralNormalization(keras.layers.Dense(1, kernel_initializer="ones"))
layer.build((None, 2))
layer.trainable = False
before = layer.layer.kernel.numpy()
layer(np.ones((1, 2)), training=True)
assert np.array_equal(layer.layer.kernel.numpy(), before)
