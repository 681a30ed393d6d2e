"""Attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments

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


def projections(prefix: str = "", path: str = "", start: str = "") -> dict[str, NativeParameter]:
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


def _mask(steps: int, padded: int) -> list[str]:
    """The argument that hides the keys which are padding."""
    if not padded:
        return []
    return [f"attention_mask=(keras.ops.arange({steps}) < {steps - padded})[None, None]"]


def _multi_head(layer: Any, specs: Sequence[Spec]) -> str:
    sizes = {"value_dim": layer.value_size} if layer.value_size else {}
    options = arguments(**sizes, use_bias=layer.use_bias)
    return f"keras.layers.MultiHeadAttention({layer.heads}, {layer.key_size}, {options}, "


def _multi_head_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    causal = ["use_causal_mask=True"] if layer.causal else []
    given = [args[0], args[0], *_mask(specs[0].shape[0], layer.padded), *causal]
    return f"{name}({', '.join(given)})"


ROWS: dict[str, Lowering] = {
    "dot_product_attention": Lowering(_attention, _attention_call, definition=_SCALED),
    "multi_head_attention": Lowering(_multi_head, _multi_head_call, projections()),
    "cross_attention": Lowering(
        _multi_head,
        lambda layer, name, args, specs: (
            f"{name}({', '.join([*args, *_mask(specs[1].shape[0], layer.padded)])})"
        ),
        projections(),
    ),
}
