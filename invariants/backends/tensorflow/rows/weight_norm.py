"""Weight normalisation, which Keras has no layer for."""

from __future__ import annotations

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row
from invariants.backends.tensorflow.rows.convolution import windows_of

_DENSE = '''\
class WeightNormDense(keras.layers.Layer):
    """A dense layer whose kernel is a direction and a length for each unit."""

    def __init__(self, units, use_bias, **options):
        super().__init__(**options)
        self.units, self.use_bias = units, use_bias

    def build(self, input_shape):
        self.direction = self.add_weight(shape=(input_shape[-1], self.units), name="direction")
        self.magnitude = self.add_weight(shape=(1, self.units), name="magnitude")
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), name="bias")

    def call(self, x):
        squares = keras.ops.sum(keras.ops.square(self.direction), axis=0, keepdims=True)
        kernel = self.direction * (self.magnitude / keras.ops.sqrt(squares))
        y = keras.ops.matmul(x, kernel)
        return y + self.bias if self.use_bias else y
'''

_CONV = '''\
class WeightNormConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is a direction and a length for each filter."""

    def build(self, input_shape):
        super().build(input_shape)
        self.magnitude = self.add_weight(shape=(1, 1, 1, self.filters), name="magnitude")

    def call(self, x):
        squares = keras.ops.sum(keras.ops.square(self.kernel), axis=(0, 1, 2), keepdims=True)
        y = self.convolution_op(x, self.kernel * (self.magnitude / keras.ops.sqrt(squares)))
        return y + self.bias if self.use_bias else y
'''

ROWS: dict[str, Lowering] = {
    "weight_norm_dense": layer_row(
        lambda layer, specs: (
            f"WeightNormDense({layer.units}, {arguments(use_bias=layer.use_bias)}, "
        ),
        "direction",
        "magnitude",
        "bias",
        definition=_DENSE,
    ),
    "weight_norm_conv2d": Lowering(
        lambda layer, specs: (
            f"WeightNormConv2D({layer.filters}, {layer.kernel_size}, {windows_of(layer)}, "
        ),
        layer_row("").call,
        {
            "direction": NativeParameter("kernel"),
            "magnitude": NativeParameter("magnitude"),
            "bias": NativeParameter("bias"),
        },
        definition=_CONV,
    ),
}
