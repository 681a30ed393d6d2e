"""Adapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import inner, row

_BOTTLENECK = '''\
class Bottleneck(keras.layers.Layer):
    """An adapter: down, activation, up, and the input once more."""

    def __init__(self, features, units, activation, **options):
        super().__init__(**options)
        self.down = keras.layers.Dense(units, activation=activation, name="down")
        self.up = keras.layers.Dense(features, name="up")

    def build(self, input_shape):
        self.down.build(input_shape)
        self.up.build((*input_shape[:-1], self.down.units))

    def call(self, x):
        return x + self.up(self.down(x))
'''

_SQUEEZE_EXCITE = '''\
class SqueezeExcite(keras.layers.Layer):
    """Scales each channel of an image by what all of its means say."""

    def __init__(self, channels, units, **options):
        super().__init__(**options)
        self.down = keras.layers.Dense(units, activation="relu", name="down")
        self.up = keras.layers.Dense(channels, activation="sigmoid", name="up")

    def build(self, input_shape):
        self.down.build((input_shape[0], input_shape[-1]))
        self.up.build((input_shape[0], self.down.units))

    def call(self, x):
        gate = self.up(self.down(keras.ops.mean(x, axis=(1, 2))))
        return x * gate[:, None, None, :]
'''

_FILM = '''\
class FiLM(keras.layers.Layer):
    """Scales and shifts each channel by a linear map of the features."""

    def __init__(self, channels, **options):
        super().__init__(**options)
        self.channels = channels
        self.projection = keras.layers.Dense(2 * channels, name="projection")

    def build(self, input_shape):
        self.projection.build(input_shape[1])

    def call(self, inputs):
        x, features = inputs
        shape = (-1, *(1 for _ in x.shape[1:-1]), self.channels)
        gamma, beta = keras.ops.split(self.projection(features), 2, axis=-1)
        return x * keras.ops.reshape(gamma, shape) + keras.ops.reshape(beta, shape)
'''


def _bottleneck(layer: Any, specs: Sequence[Spec]) -> str:
    return f"Bottleneck({specs[0].shape[-1]}, {layer.units}, {layer.activation!r}, "


_DENSE = ("kernel", "bias")

ROWS: dict[str, Lowering] = {
    "bottleneck": row(
        _bottleneck,
        {**inner("down_", "down", *_DENSE), **inner("up_", "up", *_DENSE)},
        _BOTTLENECK,
    ),
    "squeeze_excite": row(
        lambda layer, specs: f"SqueezeExcite({specs[0].shape[-1]}, {layer.units}, ",
        {**inner("down_", "down", *_DENSE), **inner("up_", "up", *_DENSE)},
        _SQUEEZE_EXCITE,
    ),
    "film": row(
        lambda layer, specs: f"FiLM({specs[0].shape[-1]}, ",
        inner("", "projection", *_DENSE),
        _FILM,
    ),
}
