"""lora_alpha is documented to scale the update of low rank by lora_alpha / lora_rank."""

import keras

layer = keras.layers.Dense(3, lora_rank=2, lora_alpha=4)
layer.build((None, 3))
assert layer.lora_alpha == 4
