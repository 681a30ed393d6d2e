"""Norms and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Array, Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import on_the_last_axis, plain

NORM = {"gamma": NativeParameter("weight"), "beta": NativeParameter("bias")}


def affine(layer: Any, option: str = "affine") -> dict[str, bool]:
    """The options of a norm without gamma or beta; those that have them say nothing."""
    if not layer.names:
        return {option: False}
    return {} if "beta" in layer.names else {"bias": False}


def _channels_first(array: Array) -> Array:
    """(..., C) -> (C, ...) where torch has the channels before two or three axes."""
    return np.moveaxis(array, -1, 0) if array.ndim > 2 else array


def spanned(layer: Any, spec: Spec) -> str:
    """The extents that a norm goes over, in torch's order."""
    if layer.span == "last":
        return f"{spec.shape[-1]}"
    *positions, channels = spec.shape
    return f"{(channels, *positions) if spec.rank > 2 else spec.shape}"


def spanned_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """A call of a norm over what it spans: over all axes, those are held as torch wants them."""
    return (plain if layer.span == "all" else on_the_last_axis)(layer, name, args, specs)


def spanned_weight(name: str) -> NativeParameter:
    return NativeParameter(name, moved=_channels_first)


def _layer_norm(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(eps=layer.epsilon, **affine(layer, "elementwise_affine"))
    return f"nn.LayerNorm({spanned(layer, specs[0])}, {options})"


def spatial_axes(specs: Sequence[Spec]) -> int:
    """How many axes torch counts in the names of its norms; a vector counts as a sequence."""
    return max(specs[0].rank - 1, 1)


def _batch_norm(layer: Any, specs: Sequence[Spec]) -> str:
    untracked = {} if layer.tracked else {"track_running_stats": False}
    options = arguments(eps=layer.epsilon, momentum=layer.update, **affine(layer), **untracked)
    return f"nn.BatchNorm{spatial_axes(specs)}d({specs[0].shape[-1]}, {options})"


def channels_second(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """A call of a module that has the channels of a sequence on its second axis."""
    if specs[0].rank == 2:
        return f"{name}({args[0]}.transpose(1, 2)).transpose(1, 2)"
    return f"{name}({args[0]})"


ROWS: dict[str, Lowering] = {
    "layer_norm": Lowering(
        _layer_norm,
        spanned_call,
        {"gamma": spanned_weight("weight"), "beta": spanned_weight("bias")},
    ),
    "batch_norm": Lowering(
        _batch_norm,
        channels_second,
        {
            **NORM,
            "moving_mean": NativeParameter("running_mean"),
            "moving_variance": NativeParameter("running_var"),
        },
    ),
    "dropout": Lowering(lambda layer, specs: f"nn.Dropout({layer.rate!r})", plain),
}
