"""Attention and the encoder block.

nn.MultiheadAttention packs its projections; whoever wants them by themselves writes the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Array, Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import plain

_MULTI_HEAD = '''\
class MultiHeadAttention(nn.Module):
    """Self-attention with projections of its own for queries, keys and values."""

    def __init__(self, features, heads, size, bias=True, causal=False):
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.query = nn.Linear(features, heads * size, bias=bias)
        self.key = nn.Linear(features, heads * size, bias=bias)
        self.value = nn.Linear(features, heads * size, bias=bias)
        self.output = nn.Linear(heads * size, features, bias=bias)

    def in_heads(self, y):
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x):
        q = self.in_heads(self.query(x))
        k = self.in_heads(self.key(x))
        v = self.in_heads(self.value(x))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.output(y.transpose(1, 2).flatten(2))
'''

_CROSS = '''\
class CrossAttention(nn.Module):
    """Queries of a sequence over the keys and values of another."""

    def __init__(self, features, remembered, heads, key_size, value_size, bias=True):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(features, heads * key_size, bias=bias)
        self.key = nn.Linear(remembered, heads * key_size, bias=bias)
        self.value = nn.Linear(remembered, heads * value_size, bias=bias)
        self.output = nn.Linear(heads * value_size, features, bias=bias)

    def in_heads(self, y):
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, memory):
        q = self.in_heads(self.query(x))
        k, v = self.in_heads(self.key(memory)), self.in_heads(self.value(memory))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.output(y.transpose(1, 2).flatten(2))
'''

_ENCODER = '''\
class Encoder(nn.Module):
    """A transformer encoder block."""

    def __init__(self, features, heads, size, hidden, activation, eps, norm_first, causal):
        super().__init__()
        self.norm_first = norm_first
        self.attention = MultiHeadAttention(features, heads, size, causal=causal)
        self.up = nn.Linear(features, hidden)
        self.activation = activation
        self.down = nn.Linear(hidden, features)
        self.attention_norm = nn.LayerNorm(features, eps=eps)
        self.dense_norm = nn.LayerNorm(features, eps=eps)

    def dense(self, x):
        return self.down(self.activation(self.up(x)))

    def forward(self, x):
        if self.norm_first:
            x = x + self.attention(self.attention_norm(x))
            return x + self.dense(self.dense_norm(x))
        x = self.attention_norm(x + self.attention(x))
        return self.dense_norm(x + self.dense(x))
'''


def _into_heads(array: Array) -> Array:
    """(F, heads, d) -> (heads · d, F)."""
    return array.reshape(len(array), -1).T


def _out_of_heads(array: Array) -> Array:
    """(heads, d, F) -> (F, heads · d)."""
    return array.reshape(-1, array.shape[-1]).T


def _flat(array: Array) -> Array:
    return array.reshape(-1)


def _projections(prefix: str = "", path: str = "") -> dict[str, NativeParameter]:
    held = {
        f"{prefix}output_kernel": NativeParameter(f"{path}output.weight", moved=_out_of_heads),
        f"{prefix}output_bias": NativeParameter(f"{path}output.bias"),
    }
    for name in ("query", "key", "value"):
        held[f"{prefix}{name}_kernel"] = NativeParameter(f"{path}{name}.weight", moved=_into_heads)
        held[f"{prefix}{name}_bias"] = NativeParameter(f"{path}{name}.bias", moved=_flat)
    return held


def _attention_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    options = {} if layer.scaled else {"scale": 1.0}
    options |= {"is_causal": True} if layer.causal else {}
    given = [*[args[0]] * 3, *([arguments(**options)] if options else [])]
    return f"F.scaled_dot_product_attention({', '.join(given)})"


def _packed_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (x,) = args
    given = [x, x, x, arguments(need_weights=layer.weights_returned)]
    if layer.causal:
        steps = specs[0].shape[0]
        like = f"device={x}.device, dtype={x}.dtype"
        mask = f"nn.Transformer.generate_square_subsequent_mask({steps}, {like})"
        given += [f"attn_mask={mask}", "is_causal=True"]
    return f"{name}({', '.join(given)})[0]"


ROWS: dict[str, Lowering] = {
    "dot_product_attention": Lowering(None, _attention_call),
    "multi_head_attention": Lowering(
        lambda layer, specs: (
            f"MultiHeadAttention({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, "
            f"{arguments(bias=layer.use_bias, causal=layer.causal)})"
        ),
        plain,
        _projections(),
        definition=_MULTI_HEAD,
    ),
    "cross_attention": Lowering(
        lambda layer, specs: (
            f"CrossAttention({specs[0].shape[-1]}, {specs[1].shape[-1]}, {layer.heads}, "
            f"{layer.key_size}, {layer.value_size}, {arguments(bias=layer.use_bias)})"
        ),
        plain,
        _projections(),
        definition=_CROSS,
    ),
    "packed_multi_head_attention": Lowering(
        lambda layer, specs: (
            f"nn.MultiheadAttention({specs[0].shape[-1]}, {layer.heads}, "
            f"{arguments(bias=layer.use_bias, batch_first=True)})"
        ),
        _packed_call,
        {
            "packed_kernel": NativeParameter("in_proj_weight", (1, 0)),
            "packed_bias": NativeParameter("in_proj_bias"),
            "output_kernel": NativeParameter("out_proj.weight", (1, 0)),
            "output_bias": NativeParameter("out_proj.bias"),
        },
    ),
    "transformer_encoder": Lowering(
        lambda layer, specs: (
            f"Encoder({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, {layer.hidden}, "
            f"{'nn.ReLU()' if layer.activation == 'relu' else 'nn.GELU()'}, "
            f"{arguments(eps=layer.epsilon, norm_first=layer.norm_first, causal=layer.causal)})"
        ),
        plain,
        {
            **_projections("attention_", "attention."),
            "up_kernel": NativeParameter("up.weight", (1, 0)),
            "up_bias": NativeParameter("up.bias"),
            "down_kernel": NativeParameter("down.weight", (1, 0)),
            "down_bias": NativeParameter("down.bias"),
            "attention_norm_gamma": NativeParameter("attention_norm.weight"),
            "attention_norm_beta": NativeParameter("attention_norm.bias"),
            "dense_norm_gamma": NativeParameter("dense_norm.weight"),
            "dense_norm_beta": NativeParameter("dense_norm.bias"),
        },
        definition=(_MULTI_HEAD, _ENCODER),
    ),
}
