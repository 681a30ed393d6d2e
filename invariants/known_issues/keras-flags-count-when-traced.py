"""compile() is documented to determine what is trainable: later changes wait for the next one."""

import keras
import numpy as np

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile("sgd", "mse")
model.trainable = False
model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
assert model.layers[0].kernel.numpy()[0, 0] < 1.0
