"""A loaded model is documented to go on from the weights of its file, at a step of 0.001."""

import tempfile

import keras
import numpy as np

layers = [keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(1)]
model = keras.Sequential(layers)
model.layers[0].trainable = False
model.compile(keras.optimizers.ScheduleFreeAdamW(0.001), "mse", run_eagerly=True)
model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
model.layers[0].trainable = True
model.set_weights([np.full(weight.shape, 5.0) for weight in model.weights])
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/model.keras")
    loaded = keras.models.load_model(f"{folder}/model.keras")
loaded.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
assert all(abs(weight - 5.0).max() < 0.1 for weight in loaded.get_weights())
