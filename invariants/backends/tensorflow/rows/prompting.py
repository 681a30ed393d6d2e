"""Learned rows in front of a sequence."""

from __future__ import annotations

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row

_PREPENDED = """\
def prepended(rows, x):
    rows = keras.ops.broadcast_to(rows, (keras.ops.shape(x)[0], *rows.shape))
    return keras.ops.concatenate([rows, x], axis=1)
"""

_PROMPT_TOKENS = '''\
class PromptTokens(keras.layers.Layer):
    """Learned tokens in front of a sequence."""

    def __init__(self, count, **options):
        super().__init__(**options)
        self.count = count

    def build(self, input_shape):
        self.tokens = self.add_weight(shape=(self.count, input_shape[-1]), name="tokens")

    def call(self, x):
        return prepended(self.tokens, x)
'''

_PREFIX_ATTENTION = '''\
class PrefixAttention(keras.layers.Layer):
    """Self-attention with learned keys and values in front of its own."""

    def __init__(self, features, heads, size, count, use_bias, **options):
        super().__init__(**options)
        self.heads, self.count, self.width = heads, count, heads * size
        self.query = keras.layers.Dense(self.width, use_bias=use_bias, name="query")
        self.key = keras.layers.Dense(self.width, use_bias=use_bias, name="key")
        self.value = keras.layers.Dense(self.width, use_bias=use_bias, name="value")
        self.projection = keras.layers.Dense(features, use_bias=use_bias, name="output")

    def build(self, input_shape):
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        self.projection.build((*input_shape[:-1], self.width))
        self.prefix_key = self.add_weight(shape=(self.count, self.width), name="prefix_key")
        self.prefix_value = self.add_weight(shape=(self.count, self.width), name="prefix_value")

    def in_heads(self, y):
        return keras.ops.reshape(y, (-1, y.shape[1], self.heads, self.width // self.heads))

    def call(self, x):
        q = self.in_heads(self.query(x))
        k = self.in_heads(prepended(self.prefix_key, self.key(x)))
        v = self.in_heads(prepended(self.prefix_value, self.value(x)))
        y = keras.ops.dot_product_attention(q, k, v)
        return self.projection(keras.ops.reshape(y, (-1, x.shape[1], self.width)))
'''


def _projections() -> dict[str, NativeParameter]:
    return {
        f"{name}_{kind}": NativeParameter(
            f"{name}/{kind}",
            # Keras keeps `output` for the tensor that a layer puts out.
            attribute=f"{'projection' if name == 'output' else name}.{kind}",
        )
        for name in ("query", "key", "value", "output")
        for kind in ("kernel", "bias")
    }


_PREFIX = layer_row(
    lambda layer, specs: (
        f"PrefixAttention({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, "
        f"{arguments(count=layer.count, use_bias=layer.use_bias)}, "
    ),
    "prefix_key",
    "prefix_value",
)

ROWS: dict[str, Lowering] = {
    "prompt_tokens": Lowering(
        lambda layer, specs: f"PromptTokens({layer.count}, ",
        layer_row("").call,
        {"tokens": NativeParameter("tokens")},
        definition=(_PREPENDED, _PROMPT_TOKENS),
    ),
    "prefix_attention": Lowering(
        _PREFIX.construct,
        _PREFIX.call,
        {**_projections(), **_PREFIX.parameters},
        definition=(_PREPENDED, _PREFIX_ATTENTION),
    ),
}
