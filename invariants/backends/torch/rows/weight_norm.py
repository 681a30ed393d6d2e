"""Weight normalisation: a parametrization of a linear layer or a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Axes, Lowering, NativeParameter
from invariants.backends.torch.rows.common import on_the_last_axis
from invariants.backends.torch.rows.convolution import conv, padded_call
from invariants.backends.torch.rows.dense import linear


def _normalised(module: str) -> str:
    return f"nn.utils.parametrizations.weight_norm({module})"


def _dense(layer: Any, specs: Sequence[Spec]) -> str:
    return _normalised(linear(layer, specs))


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    return _normalised(conv(layer, specs))


def _parameters(axes: Axes) -> dict[str, NativeParameter]:
    return {
        "magnitude": NativeParameter("parametrizations.weight.original0", axes),
        "direction": NativeParameter("parametrizations.weight.original1", axes),
        "bias": NativeParameter("bias"),
    }


ROWS: dict[str, Lowering] = {
    "weight_norm_dense": Lowering(_dense, on_the_last_axis, _parameters((1, 0))),
    "weight_norm_conv2d": Lowering(_conv, padded_call, _parameters((3, 2, 0, 1))),
}
