"""A step of ScheduleFreeAdamW is documented to be about as long as its learning rate."""

import keras
import numpy as np

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.ScheduleFreeAdamW(0.01), "mse")
model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
assert model.layers[0].kernel.numpy()[0, 0] > 0.5
