"""Learned tables."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row
from invariants.backends.tensorflow.rows.recurrent import cell_options

_POSITIONAL = '''\
class PositionalEmbedding(keras.layers.Layer):
    """Adds a learned row for each position."""

    def build(self, input_shape):
        self.embeddings = self.add_weight(shape=input_shape[1:], name="embeddings")

    def call(self, x):
        return x + self.embeddings
'''

#: Keras calls a reversible embedding twice: on indices, and in reverse on what it put out.
_TIED = layer_row(
    lambda layer, specs: (
        f"keras.layers.ReversibleEmbedding({specs[0].vocabulary}, {layer.features}, "
    ),
    "embeddings",
)


def _masked(reader: Any, name: str, *cell: str) -> Lowering:
    """A model of a table that masks index 0 and of the layer `name` that reads it.

    reader: (layer) -> how that layer is made, but for its name. cell: the names of its weights.
    """

    def made(layer: Any, specs: Any) -> str:
        sizes = f"{specs[0].vocabulary}, {layer.features}"
        table = f"keras.layers.Embedding({sizes}, mask_zero=True, name='embedding')"
        return f"keras.Sequential([{table}, keras.layers.{reader(layer)}name={name!r})], "

    row = layer_row(made)
    parameters = {
        "embeddings": NativeParameter(
            "embedding.embeddings", attribute="get_layer('embedding').embeddings"
        ),
        **{
            weight: NativeParameter(
                f"{name}.{name}_cell/{weight}", attribute=f"get_layer({name!r}).cell.{weight}"
            )
            for weight in cell
        },
    }
    return Lowering(row.construct, row.call, parameters)


def _masked_cell(cell: str) -> Lowering:
    return _masked(
        lambda layer: f"{cell}({layer.units}, {arguments(**cell_options(layer))}, ",
        cell.lower(),
        *("kernel", "recurrent_kernel", "bias"),
    )


ROWS: dict[str, Lowering] = {
    "positional_embedding": layer_row("PositionalEmbedding(", "embeddings", definition=_POSITIONAL),
    "tied_embedding": Lowering(
        _TIED.construct,
        lambda layer, name, args, specs: f"{name}({name}({args[0]}), reverse=True)",
        _TIED.parameters,
    ),
    "masked_mean": _masked(lambda layer: "GlobalAveragePooling1D(", "mean"),
    "masked_lstm": _masked_cell("LSTM"),
    "masked_gru": _masked_cell("GRU"),
}
