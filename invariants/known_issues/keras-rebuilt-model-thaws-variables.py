"""clone_model is documented to copy a model: what was frozen in it stays frozen in the copy."""

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.layers[0].bias.trainable = False
copy = keras.models.clone_model(model)
assert len(copy.trainable_variables) == len(model.trainable_variables)
