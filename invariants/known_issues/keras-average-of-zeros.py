"""use_ema is documented to overwrite weights by averages of their values: this one was always 1."""

import keras

weight = keras.Variable([1.0])
optimizer = keras.optimizers.SGD(use_ema=True)
optimizer.build([weight])
optimizer.finalize_variable_values([weight])
assert weight.numpy()[0] == 1.0
