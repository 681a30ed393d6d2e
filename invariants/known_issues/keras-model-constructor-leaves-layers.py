"""trainable is documented to hold for a model and all layers in it: none of these is trainable."""

import keras

x = keras.Input((1,))
model = keras.Model(x, keras.layers.Dense(1)(x), trainable=False)
assert not model.layers[1].trainable
