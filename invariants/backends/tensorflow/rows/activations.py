"""Activations."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened

_GELU_TANH = """\
def gelu_tanh(x):
    return keras.activations.gelu(x, approximate=True)
"""

_GELU = {False: '"gelu"', True: "gelu_tanh"}


def _activation(name: str) -> Lowering:
    return layer_row(f"keras.layers.Activation({name!r}, ")


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
    "silu": _activation("silu"),
    "softplus": _activation("softplus"),
    "tanh": _activation("tanh"),
    "sigmoid": _activation("sigmoid"),
    "softmax": layer_row("keras.layers.Softmax("),
}
