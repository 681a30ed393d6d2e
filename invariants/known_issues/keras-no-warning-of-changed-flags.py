"""_warn_if_trainable_state_changed is documented to warn of flags changed since compile()."""

import warnings

import keras
import numpy as np

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.layers[0].trainable = False
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(np.ones((1, 1)), np.ones((1, 1)), verbose=0)
assert any("trainable" in str(warning.message) for warning in caught)
