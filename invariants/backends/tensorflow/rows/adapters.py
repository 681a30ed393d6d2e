"""Adapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row

_LORA_DENSE = '''\
class LoraDense(keras.layers.Layer):
    """A dense layer with a low-rank update, as in LoRA."""

    def __init__(self, units, rank, alpha, use_bias, **options):
        super().__init__(**options)
        self.base = keras.layers.Dense(units, use_bias=use_bias, name="base")
        self.units, self.rank, self.scaling = units, rank, alpha / rank

    def build(self, input_shape):
        self.base.build(input_shape)
        self.lora_a = self.add_weight(shape=(input_shape[-1], self.rank), name="lora_a")
        self.lora_b = self.add_weight(shape=(self.rank, self.units), name="lora_b")

    def call(self, x):
        delta = keras.ops.matmul(keras.ops.matmul(x, self.lora_a), self.lora_b)
        return self.base(x) + delta * self.scaling
'''

_LORA_CONV = '''\
class LoraConv2D(keras.layers.Layer):
    """A convolution with a low-rank update, as in LoRA."""

    def __init__(self, filters, kernel_size, rank, alpha, use_bias, windows, **options):
        super().__init__(**options)
        self.base = keras.layers.Conv2D(
            filters, kernel_size, use_bias=use_bias, name="base", **windows
        )
        self.lora_a = keras.layers.Conv2D(
            rank, kernel_size, use_bias=False, name="lora_a", **windows
        )
        self.lora_b = keras.layers.Conv2D(filters, 1, use_bias=False, name="lora_b")
        self.scaling = alpha / rank

    def build(self, input_shape):
        self.base.build(input_shape)
        self.lora_a.build(input_shape)
        self.lora_b.build(self.lora_a.compute_output_shape(input_shape))

    def call(self, x):
        return self.base(x) + self.lora_b(self.lora_a(x)) * self.scaling
'''

_LORA_EMBEDDING = '''\
class LoraEmbedding(keras.layers.Layer):
    """An embedding with a low-rank update, as in LoRA."""

    def __init__(self, rows, features, rank, alpha, **options):
        super().__init__(**options)
        self.base = keras.layers.Embedding(rows, features, name="base")
        self.rows, self.features, self.rank = rows, features, rank
        self.scaling = alpha / rank

    def build(self, input_shape):
        self.base.build(input_shape)
        self.lora_a = self.add_weight(shape=(self.rows, self.rank), name="lora_a")
        self.lora_b = self.add_weight(shape=(self.rank, self.features), name="lora_b")

    def call(self, indices):
        rows = keras.ops.take(self.lora_a, indices, axis=0)
        return self.base(indices) + keras.ops.matmul(rows, self.lora_b) * self.scaling
'''

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

_WEIGHT_NORM_DENSE = '''\
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


def _inner(prefix: str, name: str, *weights: str) -> dict[str, NativeParameter]:
    return {
        prefix + weight: NativeParameter(f"{name}/{weight}", attribute=f"{name}.{weight}")
        for weight in weights
    }


def _own(*names: str) -> dict[str, NativeParameter]:
    return {name: NativeParameter(name) for name in names}


def _row(construct: Any, parameters: dict[str, NativeParameter], definition: str) -> Lowering:
    return Lowering(construct, layer_row("").call, parameters, definition)


def _lora_dense(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha, use_bias=layer.use_bias)
    return f"LoraDense({layer.units}, {options}, "


def _lora_conv(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha, use_bias=layer.use_bias)
    windows = {
        "strides": layer.strides,
        "padding": layer.padding,
        **({} if layer.dilation == (1, 1) else {"dilation_rate": layer.dilation}),
    }
    sizes = f"{layer.filters}, {layer.kernel_size}"
    return f"LoraConv2D({sizes}, {options}, {arguments(windows=windows)}, "


def _lora_embedding(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha)
    return f"LoraEmbedding({specs[0].vocabulary}, {layer.features}, {options}, "


def _bottleneck(layer: Any, specs: Sequence[Spec]) -> str:
    return f"Bottleneck({specs[0].shape[-1]}, {layer.units}, {layer.activation!r}, "


_DENSE = ("kernel", "bias")

ROWS: dict[str, Lowering] = {
    "lora_dense": _row(
        _lora_dense, {**_inner("", "base", *_DENSE), **_own("lora_a", "lora_b")}, _LORA_DENSE
    ),
    "lora_conv2d": _row(
        _lora_conv,
        {
            **_inner("", "base", *_DENSE),
            "lora_a": NativeParameter("lora_a/kernel", attribute="lora_a.kernel"),
            "lora_b": NativeParameter("lora_b/kernel", attribute="lora_b.kernel"),
        },
        _LORA_CONV,
    ),
    "lora_embedding": _row(
        _lora_embedding,
        {**_inner("", "base", "embeddings"), **_own("lora_a", "lora_b")},
        _LORA_EMBEDDING,
    ),
    "bottleneck": _row(
        _bottleneck,
        {**_inner("down_", "down", *_DENSE), **_inner("up_", "up", *_DENSE)},
        _BOTTLENECK,
    ),
    "weight_norm_dense": layer_row(
        lambda layer, specs: (
            f"WeightNormDense({layer.units}, {arguments(use_bias=layer.use_bias)}, "
        ),
        "direction",
        "magnitude",
        "bias",
        definition=_WEIGHT_NORM_DENSE,
    ),
    "squeeze_excite": _row(
        lambda layer, specs: f"SqueezeExcite({specs[0].shape[-1]}, {layer.units}, ",
        {**_inner("down_", "down", *_DENSE), **_inner("up_", "up", *_DENSE)},
        _SQUEEZE_EXCITE,
    ),
    "film": _row(
        lambda layer, specs: f"FiLM({specs[0].shape[-1]}, ",
        _inner("", "projection", *_DENSE),
        _FILM,
    ),
}
