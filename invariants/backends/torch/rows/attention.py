"""Attention with projections by themselves, which nn.MultiheadAttention packs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Array, Lowering, NativeParameter, arguments

MULTI_HEAD = '''\
class MultiHeadAttention(nn.Module):
    """Self-attention with projections of its own for queries, keys and values."""

    def __init__(self, features, heads, size, value_size=None, bias=True, causal=False):
        super().__init__()
        self.heads = heads
        self.causal = causal
        value_size = value_size or size
        self.query = nn.Linear(features, heads * size, bias=bias)
        self.key = nn.Linear(features, heads * size, bias=bias)
        self.value = nn.Linear(features, heads * value_size, bias=bias)
        self.output = nn.Linear(heads * value_size, features, bias=bias)

    def in_heads(self, y):
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, mask=None):
        q = self.in_heads(self.query(x))
        k = self.in_heads(self.key(x))
        v = self.in_heads(self.value(x))
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal)
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

    def forward(self, x, memory, mask=None):
        q = self.in_heads(self.query(x))
        k, v = self.in_heads(self.key(memory)), self.in_heads(self.value(memory))
        y = F.scaled_dot_product_attention(q, k, v, mask)
        return self.output(y.transpose(1, 2).flatten(2))
'''


def _into_heads(array: Array) -> Array:
    """(F, heads, d) -> (heads · d, F)."""
    return array.reshape(len(array), -1).T


def _out_of_heads(array: Array) -> Array:
    """(heads, d, F) -> (F, heads · d)."""
    return array.reshape(-1, array.shape[-1]).T


def _flat(array: Array) -> Array:
    return array.reshape(-1)


def projections(prefix: str = "", path: str = "") -> dict[str, NativeParameter]:
    held = {
        f"{prefix}output_kernel": NativeParameter(f"{path}output.weight", moved=_out_of_heads),
        f"{prefix}output_bias": NativeParameter(f"{path}output.bias"),
    }
    for name in ("query", "key", "value"):
        held[f"{prefix}{name}_kernel"] = NativeParameter(f"{path}{name}.weight", moved=_into_heads)
        held[f"{prefix}{name}_bias"] = NativeParameter(f"{path}{name}.bias", moved=_flat)
    return held


def seen_keys(x: str, steps: int, padded: int) -> str:
    """The mask (1, S) that is true where a key is no padding."""
    return f"(torch.arange({steps}, device={x}.device) < {steps - padded})[None]"


def _multi_head(layer: Any, specs: Sequence[Spec]) -> str:
    # With a mask of its own, which says both.
    sizes = {"value_size": layer.value_size} if layer.value_size else {}
    options = arguments(**sizes, bias=layer.use_bias, causal=layer.causal and not layer.padded)
    return f"MultiHeadAttention({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, {options})"


def _multi_head_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    if not layer.padded:
        return f"{name}({args[0]})"
    steps = specs[0].shape[0]
    mask = seen_keys(args[0], steps, layer.padded)
    if layer.causal:
        causal = f"torch.ones({steps}, {steps}, dtype=torch.bool, device={args[0]}.device).tril()"
        mask = f"{mask} & {causal}"
    return f"{name}({args[0]}, {mask})"


def _cross_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    mask = [seen_keys(args[1], specs[1].shape[0], layer.padded)] if layer.padded else []
    return f"{name}({', '.join([*args, *mask])})"


def _attention_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    options = {} if layer.scaled else {"scale": 1.0}
    options |= {"is_causal": True} if layer.causal else {}
    given = [*[args[0]] * 3, *([arguments(**options)] if options else [])]
    return f"F.scaled_dot_product_attention({', '.join(given)})"


ROWS: dict[str, Lowering] = {
    "dot_product_attention": Lowering(None, _attention_call),
    "multi_head_attention": Lowering(
        _multi_head,
        _multi_head_call,
        projections(),
        definition=MULTI_HEAD,
    ),
    "cross_attention": Lowering(
        lambda layer, specs: (
            f"CrossAttention({specs[0].shape[-1]}, {specs[1].shape[-1]}, {layer.heads}, "
            f"{layer.key_size}, {layer.value_size}, {arguments(bias=layer.use_bias)})"
        ),
        _cross_call,
        projections(),
        definition=_CROSS,
    ),
}
