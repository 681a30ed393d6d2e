"""Learned tables."""

from __future__ import annotations

from invariants.backends.source import Lowering
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

ROWS: dict[str, Lowering] = {
    "positional_embedding": layer_row("PositionalEmbedding(", "embeddings", definition=_POSITIONAL),
    "tied_embedding": Lowering(
        _TIED.construct,
        lambda layer, name, args, specs: f"{name}({name}({args[0]}), reverse=True)",
        _TIED.parameters,
    ),
}
