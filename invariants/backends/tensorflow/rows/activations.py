"""Activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened

_GELU_TANH = """\
def gelu_tanh(x):
    return keras.activations.gelu(x, approximate=True)
"""

_GELU = {False: '"gelu"', True: "gelu_tanh"}


_GLU = '''\
class GLU(keras.layers.Layer):
    """Half of the last axis, gated by the other half."""

    def call(self, x):
        return keras.activations.glu(x)
'''


def with_option(name: str, option: str, value: float | int) -> str:
    """The construction of an activation layer for a function with an option."""
    return f"keras.layers.Activation(lambda x: keras.activations.{name}(x, {option}={value!r}), "


def activation(name: str) -> Lowering:
    """A row for an activation that Keras knows by `name`."""
    return layer_row(f"keras.layers.Activation({name!r}, ")


def _log_softmax(layer: Any, specs: Sequence[Spec]) -> str:
    if layer.axis == -1:
        return 'keras.layers.Activation("log_softmax", '
    return with_option("log_softmax", "axis", layer.axis)


ROWS: dict[str, Lowering] = {
    "relu": layer_row("keras.layers.ReLU("),
    "leaky_relu": layer_row(
        lambda layer, specs: opened("LeakyReLU", negative_slope=layer.negative_slope)
    ),
    "elu": layer_row(lambda layer, specs: opened("ELU", alpha=layer.alpha)),
    "gelu": layer_row(
        lambda layer, specs: f"keras.layers.Activation({_GELU[layer.approximate]}, ",
        definition=_GELU_TANH,
    ),
    "silu": activation("silu"),
    "softplus": activation("softplus"),
    "tanh": activation("tanh"),
    "sigmoid": activation("sigmoid"),
    "softmax": layer_row(lambda layer, specs: opened("Softmax", axis=layer.axis)),
    "log_softmax": layer_row(_log_softmax),
    "log_sigmoid": activation("log_sigmoid"),
    "softsign": activation("softsign"),
    "tanhshrink": activation("tanh_shrink"),
    "mish": activation("mish"),
    "selu": activation("selu"),
    "celu": layer_row(lambda layer, specs: with_option("celu", "alpha", layer.alpha)),
    "glu": layer_row("GLU(", definition=_GLU),
}
