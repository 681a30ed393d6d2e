"""The encoder block."""

from __future__ import annotations

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.attention import projections
from invariants.backends.tensorflow.rows.common import layer_row

_ENCODER = '''\
class Encoder(keras.layers.Layer):
    """A transformer encoder block."""

    def __init__(
        self, features, heads, size, hidden, activation, epsilon, norm_first, causal, **options
    ):
        super().__init__(**options)
        self.norm_first = norm_first
        self.causal = causal
        self.attention = keras.layers.MultiHeadAttention(heads, size, name="attention")
        self.up = keras.layers.Dense(hidden, activation=activation, name="up")
        self.down = keras.layers.Dense(features, name="down")
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=epsilon, name="attention_norm"
        )
        self.dense_norm = keras.layers.LayerNormalization(epsilon=epsilon, name="dense_norm")

    def attended(self, x):
        return self.attention(x, x, use_causal_mask=self.causal)

    def call(self, x):
        if self.norm_first:
            x = x + self.attended(self.attention_norm(x))
            return x + self.down(self.up(self.dense_norm(x)))
        x = self.attention_norm(x + self.attended(x))
        return self.dense_norm(x + self.down(self.up(x)))
'''


def _inner(*names: str) -> dict[str, NativeParameter]:
    """Weights of layers in a layer: up_kernel of its layer `up`."""
    held = {}
    for name in names:
        layer, _, weight = name.rpartition("_")
        held[name] = NativeParameter(f"{layer}/{weight}", attribute=f"{layer}.{weight}")
    return held


ROWS: dict[str, Lowering] = {
    "transformer_encoder": Lowering(
        lambda layer, specs: (
            f"Encoder({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, {layer.hidden}, "
            + arguments(
                activation=layer.activation,
                epsilon=layer.epsilon,
                norm_first=layer.norm_first,
                causal=layer.causal,
            )
            + ", "
        ),
        layer_row("").call,
        {
            **projections("attention_", "attention/", "attention."),
            **_inner("up_kernel", "up_bias", "down_kernel", "down_bias"),
            **_inner("attention_norm_gamma", "attention_norm_beta"),
            **_inner("dense_norm_gamma", "dense_norm_beta"),
        },
        definition=_ENCODER,
    ),
}
