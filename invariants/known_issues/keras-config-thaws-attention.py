"""clone_model is documented to copy a model: what was frozen in it stays frozen in the copy."""

import keras

x = keras.Input((2, 2))
model = keras.Model(x, keras.layers.MultiHeadAttention(1, 2)(x, x))
model.layers[-1].trainable = False
assert not model.trainable_variables
assert not keras.models.clone_model(model).trainable_variables
