"""mixed_bfloat16 is documented to keep weights in float32: saved and loaded they are the same."""

import os
import tempfile

import keras
import numpy as np

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, dtype="mixed_bfloat16")])
model.layers[0].enable_lora(1)
before = model.layers[0]._kernel.assign([[1 / 3]]).numpy()
with tempfile.TemporaryDirectory() as folder:
    model.save_weights(path := os.path.join(folder, "a.weights.h5"))
    model.load_weights(path)
assert np.array_equal(model.layers[0]._kernel.numpy(), before)
