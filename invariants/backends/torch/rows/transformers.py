"""The encoder block, and torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.attention import MULTI_HEAD, projections
from invariants.backends.torch.rows.common import plain
from invariants.backends.torch.rows.packed_attention import causal_mask, packed

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


def _activation(layer: Any) -> str:
    return "nn.ReLU()" if layer.activation == "relu" else "nn.GELU()"


def _packed_encoder(layer: Any, specs: Sequence[Spec]) -> str:
    features = specs[0].shape[-1]
    options = arguments(
        dropout=0.0,
        layer_norm_eps=layer.epsilon,
        batch_first=True,
        norm_first=layer.norm_first,
        **({} if layer.use_bias else {"bias": False}),
    )
    sizes = f"{features}, {layer.heads}, {layer.hidden}"
    return f"nn.TransformerEncoderLayer({sizes}, activation={_activation(layer)}, {options})"


def _packed_encoder_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    if not layer.causal:
        return f"{name}({args[0]})"
    return f"{name}({args[0]}, {causal_mask(args[0], specs[0].shape[0])}, is_causal=True)"


ROWS: dict[str, Lowering] = {
    "transformer_encoder": Lowering(
        lambda layer, specs: (
            f"Encoder({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, {layer.hidden}, "
            f"{_activation(layer)}, "
            f"{arguments(eps=layer.epsilon, norm_first=layer.norm_first, causal=layer.causal)})"
        ),
        plain,
        {
            **projections("attention_", "attention."),
            "up_kernel": NativeParameter("up.weight", (1, 0)),
            "up_bias": NativeParameter("up.bias"),
            "down_kernel": NativeParameter("down.weight", (1, 0)),
            "down_bias": NativeParameter("down.bias"),
            "attention_norm_gamma": NativeParameter("attention_norm.weight"),
            "attention_norm_beta": NativeParameter("attention_norm.bias"),
            "dense_norm_gamma": NativeParameter("dense_norm.weight"),
            "dense_norm_beta": NativeParameter("dense_norm.bias"),
        },
        definition=(MULTI_HEAD, _ENCODER),
    ),
    "packed_transformer_encoder": Lowering(
        _packed_encoder,
        _packed_encoder_call,
        {
            **packed("attention_", "self_attn."),
            "up_kernel": NativeParameter("linear1.weight", (1, 0)),
            "up_bias": NativeParameter("linear1.bias"),
            "down_kernel": NativeParameter("linear2.weight", (1, 0)),
            "down_bias": NativeParameter("linear2.bias"),
            "attention_norm_gamma": NativeParameter("norm1.weight"),
            "attention_norm_beta": NativeParameter("norm1.bias"),
            "dense_norm_gamma": NativeParameter("norm2.weight"),
            "dense_norm_beta": NativeParameter("norm2.bias"),
        },
    ),
}
