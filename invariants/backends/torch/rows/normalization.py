"""Norms and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import on_the_last_axis, plain

_NORM = {"gamma": NativeParameter("weight"), "beta": NativeParameter("bias")}


def _batch_norm(layer: Any, specs: Sequence[Spec]) -> str:
    kind = "BatchNorm2d" if specs[0].rank == 3 else "BatchNorm1d"
    options = arguments(eps=layer.epsilon, momentum=layer.update)
    return f"nn.{kind}({specs[0].shape[-1]}, {options})"


def _batch_norm_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    if specs[0].rank == 2:
        return f"{name}({args[0]}.transpose(1, 2)).transpose(1, 2)"
    return f"{name}({args[0]})"


ROWS: dict[str, Lowering] = {
    "layer_norm": Lowering(
        lambda layer, specs: f"nn.LayerNorm({specs[0].shape[-1]}, {arguments(eps=layer.epsilon)})",
        on_the_last_axis,
        _NORM,
    ),
    "batch_norm": Lowering(
        _batch_norm,
        _batch_norm_call,
        {
            **_NORM,
            "moving_mean": NativeParameter("running_mean"),
            "moving_variance": NativeParameter("running_var"),
        },
    ),
    "dropout": Lowering(lambda layer, specs: f"nn.Dropout({layer.rate!r})", plain),
}
