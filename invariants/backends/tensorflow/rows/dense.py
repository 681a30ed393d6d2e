"""Dense layers and the projection of the seed network."""

from __future__ import annotations

from invariants.backends.source import Lowering, arguments
from invariants.backends.tensorflow.rows.common import layer_row

_PROJECTION = '''\
class Projection(keras.layers.Layer):
    """A PCA projection with given components and mean, which nothing trains."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, input_shape):
        shape = (input_shape[-1], self.units)
        self.components = self.add_weight(shape=shape, trainable=False, name="components")
        self.mean = self.add_weight(shape=(self.units,), trainable=False, name="mean")

    def call(self, x):
        return keras.ops.matmul(x, self.components) - self.mean
'''

ROWS: dict[str, Lowering] = {
    "dense": layer_row(
        lambda layer, specs: (
            f"keras.layers.Dense({layer.units}, {arguments(use_bias=layer.use_bias)}, "
        ),
        "kernel",
        "bias",
    ),
    "projection": layer_row(
        lambda layer, specs: f"Projection({layer.components}, ",
        "components",
        "mean",
        definition=_PROJECTION,
    ),
}
