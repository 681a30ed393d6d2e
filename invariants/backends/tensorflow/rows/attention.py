"""Attention and the encoder block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row

_SCALED = '''\
class ScaledAttention(keras.layers.Layer):
    """Scaled dot product attention of one head without parameters."""

    def __init__(self, causal, **options):
        super().__init__(**options)
        self.causal = causal

    def call(self, x):
        x = keras.ops.expand_dims(x, 2)
        y = keras.ops.dot_product_attention(x, x, x, is_causal=self.causal)
        return keras.ops.squeeze(y, 2)
'''

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


def _projections(prefix: str = "", path: str = "", start: str = "") -> dict[str, NativeParameter]:
    """start: the expression that reaches the attention from the layer, and a dot."""
    layers = {
        "query": ("query", "query_dense"),
        "key": ("key", "key_dense"),
        "value": ("value", "value_dense"),
        "output": ("attention_output", "output_dense"),
    }
    return {
        f"{prefix}{name}_{kind}": NativeParameter(
            f"{path}{inner}/{kind}", attribute=f"{start}{attribute}.{kind}"
        )
        for name, (inner, attribute) in layers.items()
        for kind in ("kernel", "bias")
    }


def _attention(layer: Any, specs: Sequence[Spec]) -> str:
    if layer.scaled:
        return f"ScaledAttention({arguments(causal=layer.causal)}, "
    return "keras.layers.Attention("


def _attention_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (x,) = args
    if layer.scaled:
        return f"{name}({x})"
    return f"{name}([{x}, {x}]{', use_causal_mask=True' if layer.causal else ''})"


def _inner(*names: str) -> dict[str, NativeParameter]:
    """Weights of layers in a layer: up_kernel of its layer `up`."""
    held = {}
    for name in names:
        layer, _, weight = name.rpartition("_")
        held[name] = NativeParameter(f"{layer}/{weight}", attribute=f"{layer}.{weight}")
    return held


ROWS: dict[str, Lowering] = {
    "dot_product_attention": Lowering(_attention, _attention_call, definition=_SCALED),
    "multi_head_attention": Lowering(
        lambda layer, specs: (
            f"keras.layers.MultiHeadAttention({layer.heads}, {layer.key_size}, "
            f"{arguments(use_bias=layer.use_bias)}, "
        ),
        lambda layer, name, args, specs: (
            f"{name}({args[0]}, {args[0]}{', use_causal_mask=True' if layer.causal else ''})"
        ),
        _projections(),
    ),
    "cross_attention": Lowering(
        lambda layer, specs: (
            f"keras.layers.MultiHeadAttention({layer.heads}, {layer.key_size}, "
            f"{arguments(value_dim=layer.value_size, use_bias=layer.use_bias)}, "
        ),
        lambda layer, name, args, specs: f"{name}({', '.join(args)})",
        _projections(),
    ),
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
            **_projections("attention_", "attention/", "attention."),
            **_inner("up_kernel", "up_bias", "down_kernel", "down_bias"),
            **_inner("attention_norm_gamma", "attention_norm_beta"),
            **_inner("dense_norm_gamma", "dense_norm_beta"),
        },
        definition=_ENCODER,
    ),
}
