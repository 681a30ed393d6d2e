"""trainable is documented as whether the variables of a layer are to be trained: here none."""

import keras

layer = keras.layers.Bidirectional(keras.layers.LSTM(1), trainable=False)
model = keras.Sequential([keras.Input((2, 1)), layer])
assert not model.trainable_variables
