"""clone_model is documented to reproduce the behavior of the model: one that is frozen is."""

import keras

inputs = keras.Input((1,))
model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
model.trainable = False
model.layers[1].trainable = True
assert not model.trainable_variables
assert not keras.models.clone_model(model).trainable_variables
