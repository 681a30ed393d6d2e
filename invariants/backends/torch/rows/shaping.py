"""Layers that look up, move or merge elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.common import (
    CHANNELS_LAST,
    canonical,
    channel_axis,
    native,
    plain,
)


def _reshape_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    source = canonical(args[0], specs[0].rank)
    return native(f"{source}.reshape(-1, {', '.join(map(str, layer.shape))})", len(layer.shape))


def _flatten_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    return f"{canonical(args[0], specs[0].rank)}.flatten(1)"


def _embedding(layer: Any, specs: Sequence[Spec]) -> str:
    given = [str(specs[0].vocabulary), str(layer.features)]
    if layer.padding_index is not None:
        given.append(f"padding_idx={layer.padding_index}")
    if layer.max_norm is not None:
        given.append(f"max_norm={layer.max_norm}")
    if layer.norm_type != 2:
        given.append(f"norm_type={float(layer.norm_type)}")
    if layer.by_frequency:
        given.append("scale_grad_by_freq=True")
    return f"nn.Embedding({', '.join(given)})"


def _axis(axis: str, rank: int) -> int:
    """Where a value of `rank` holds its channels, or its first axis, which comes behind them."""
    if axis == "last":
        return channel_axis(rank)
    return 2 if rank in CHANNELS_LAST else 1


def _joined(operator: str) -> Lowering:
    return Lowering(None, lambda layer, name, args, specs: f" {operator} ".join(args))


ROWS: dict[str, Lowering] = {
    "embedding": Lowering(
        _embedding,
        plain,
        {"embeddings": NativeParameter("weight")},
    ),
    "flatten": Lowering(None, _flatten_call),
    "reshape": Lowering(None, _reshape_call),
    "add": _joined("+"),
    "multiply": _joined("*"),
    "concatenate": Lowering(
        None,
        lambda layer, name, args, specs: (
            f"torch.cat(({', '.join(args)}), dim={_axis(layer.axis, specs[0].rank)})"
        ),
    ),
}
