"""layer.trainable = False is documented to freeze a layer, before it is built as well."""

import keras

attention = keras.layers.MultiHeadAttention(1, 2)
attention.trainable = False
x = keras.Input((2, 2))
assert not keras.Model(x, attention(x, x)).trainable_variables
