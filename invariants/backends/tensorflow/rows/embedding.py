"""Learned tables."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.tensorflow.rows.common import layer_row

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


#: The table of a layer that is a model of one, which masks index 0, and of what reads it.
MASKING_TABLE = NativeParameter(
    "embedding.embeddings", attribute="get_layer('embedding').embeddings"
)


def masking_table(layer: Any, specs: Any) -> str:
    """The construction of that table."""
    sizes = f"{specs[0].vocabulary}, {layer.features}"
    return f"keras.layers.Embedding({sizes}, mask_zero=True, name='embedding')"


#: A model of such a table and of a mean, which leaves out what is masked.
_MASKED_MEAN = layer_row(
    lambda layer, specs: (
        f"keras.Sequential([{masking_table(layer, specs)}, "
        "keras.layers.GlobalAveragePooling1D(name='mean')], "
    )
)


ROWS: dict[str, Lowering] = {
    "positional_embedding": layer_row("PositionalEmbedding(", "embeddings", definition=_POSITIONAL),
    "tied_embedding": Lowering(
        _TIED.construct,
        lambda layer, name, args, specs: f"{name}({name}({args[0]}), reverse=True)",
        _TIED.parameters,
    ),
    "masked_mean": Lowering(
        _MASKED_MEAN.construct, _MASKED_MEAN.call, {"embeddings": MASKING_TABLE}
    ),
}
