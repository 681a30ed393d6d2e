"""A kernel of one row trains with Muon in a step that is traced for batches of any size."""

import keras
import numpy as np

model = keras.Sequential([keras.Input((3, 1)), keras.layers.Dense(5, use_bias=False)])
model.compile(keras.optimizers.Muon(0.1), "mse")
model.fit(np.ones((2, 3, 1), "float32"), np.ones((2, 3, 5), "float32"), verbose=0)
assert model.optimizer.iterations.numpy() == 1
