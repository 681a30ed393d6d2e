"""nn.MultiheadAttention, which packs its projections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments


def packed(prefix: str = "", path: str = "") -> dict[str, NativeParameter]:
    """The parameters of nn.MultiheadAttention at a path, a dot behind it."""
    return {
        f"{prefix}packed_kernel": NativeParameter(f"{path}in_proj_weight", (1, 0)),
        f"{prefix}packed_bias": NativeParameter(f"{path}in_proj_bias"),
        f"{prefix}output_kernel": NativeParameter(f"{path}out_proj.weight", (1, 0)),
        f"{prefix}output_bias": NativeParameter(f"{path}out_proj.bias"),
    }


def causal_mask(x: str, steps: int) -> str:
    """The mask of numbers that torch makes itself."""
    like = f"device={x}.device, dtype={x}.dtype"
    return f"nn.Transformer.generate_square_subsequent_mask({steps}, {like})"


def _padding_mask(x: str, steps: int, padded: int) -> str:
    """Sample by sample, true where a key is padding."""
    return f"(torch.arange({steps}, device={x}.device) >= {steps - padded}).expand(len({x}), -1)"


def _options(layer: Any, key: str, steps: int) -> list[str]:
    """The arguments behind queries, keys and values."""
    given = [arguments(need_weights=layer.weights_returned)]
    if layer.padded:
        given.append(f"key_padding_mask={_padding_mask(key, steps, layer.padded)}")
    return given


#: What stands behind the keys and the values, (1, 1, F).
_ADDED = {
    "key_bias": NativeParameter("bias_k", ((), (), 0)),
    "value_bias": NativeParameter("bias_v", ((), (), 0)),
}


def _added(layer: Any) -> dict[str, bool]:
    """The options that add keys and values."""
    options = {"add_bias_kv": layer.added_bias, "add_zero_attn": layer.added_zeros}
    return {name: True for name, added in options.items() if added}


def _multi_head(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(bias=layer.use_bias, **_added(layer), batch_first=True)
    return f"nn.MultiheadAttention({specs[0].shape[-1]}, {layer.heads}, {options})"


def _multi_head_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (x,), steps = args, specs[0].shape[0]
    given = [x, x, x, *_options(layer, x, steps)]
    if layer.causal:
        # Both masks are to be of one type.
        ones = f"torch.ones({steps}, {steps}, dtype=torch.bool, device={x}.device)"
        mask = f"{ones}.triu(1)" if layer.padded else causal_mask(x, steps)
        given += [f"attn_mask={mask}", "is_causal=True"]
    return f"{name}({', '.join(given)})[0]"


def _cross(layer: Any, specs: Sequence[Spec]) -> str:
    features = [spec.shape[-1] for spec in (specs[0], specs[1], specs[-1])]
    apart = {} if layer.packed(features) else {"kdim": features[1], "vdim": features[2]}
    options = arguments(bias=layer.use_bias, **apart, **_added(layer), batch_first=True)
    return f"nn.MultiheadAttention({features[0]}, {layer.heads}, {options})"


def _cross_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    given = [args[0], args[1], args[-1], *_options(layer, args[1], specs[1].shape[0])]
    return f"{name}({', '.join(given)})[0]"


ROWS: dict[str, Lowering] = {
    "packed_multi_head_attention": Lowering(_multi_head, _multi_head_call, {**packed(), **_ADDED}),
    "packed_cross_attention": Lowering(
        _cross,
        _cross_call,
        {
            **packed(),
            **_ADDED,
            "query_kernel": NativeParameter("q_proj_weight", (1, 0)),
            "key_kernel": NativeParameter("k_proj_weight", (1, 0)),
            "value_kernel": NativeParameter("v_proj_weight", (1, 0)),
        },
    ),
}
