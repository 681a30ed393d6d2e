"""finalize_variable_values is documented to set the final values of training, here of none."""

import keras

weight = keras.Variable([1.0])
keras.optimizers.SGD(use_ema=True).finalize_variable_values([weight])
assert weight.numpy()[0] == 1.0
