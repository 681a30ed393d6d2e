"""Setting trainable on a model is documented to set it on all its layers, recursively."""

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.layers[0].trainable = False
model.trainable = True
assert model.layers[0].trainable
