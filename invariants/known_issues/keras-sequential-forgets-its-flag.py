"""from_config is documented as the reverse of get_config: that of a frozen model is frozen."""

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.trainable = False
assert not keras.Sequential.from_config(model.get_config()).trainable
