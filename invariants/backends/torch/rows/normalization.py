"""Norms and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import on_the_last_axis, plain

NORM = {"gamma": NativeParameter("weight"), "beta": NativeParameter("bias")}


def affine(layer: Any, option: str = "affine") -> dict[str, bool]:
    """The options of a norm without gamma or beta; those that have them say nothing."""
    if not layer.names:
        return {option: False}
    return {} if "beta" in layer.names else {"bias": False}


def _layer_norm(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(eps=layer.epsilon, **affine(layer, "elementwise_affine"))
    return f"nn.LayerNorm({specs[0].shape[-1]}, {options})"


def spatial_axes(specs: Sequence[Spec]) -> int:
    """How many axes torch counts in the names of its norms; a vector counts as a sequence."""
    return max(specs[0].rank - 1, 1)


def _batch_norm(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(eps=layer.epsilon, momentum=layer.update, **affine(layer))
    return f"nn.BatchNorm{spatial_axes(specs)}d({specs[0].shape[-1]}, {options})"


def channels_second(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """A call of a module that has the channels of a sequence on its second axis."""
    if specs[0].rank == 2:
        return f"{name}({args[0]}.transpose(1, 2)).transpose(1, 2)"
    return f"{name}({args[0]})"


ROWS: dict[str, Lowering] = {
    "layer_norm": Lowering(
        _layer_norm,
        on_the_last_axis,
        NORM,
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
