"""clone_model is documented to copy a model: that of a frozen one is frozen."""

import keras

x = keras.Input((1,))
model = keras.Model(x, keras.layers.Dense(1)(x))
model.trainable = False
assert not keras.models.clone_model(model).trainable
