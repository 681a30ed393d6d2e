"""Spectral normalisation: a parametrization of a linear layer or a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Axes, Lowering, NativeParameter
from invariants.backends.torch.rows.common import on_the_last_axis
from invariants.backends.torch.rows.convolution import conv, padded_call
from invariants.backends.torch.rows.dense import linear


def _normalised(module: str, iterations: int) -> str:
    steps = f", n_power_iterations={iterations}" if iterations > 1 else ""
    return f"nn.utils.parametrizations.spectral_norm({module}{steps})"


def _dense(layer: Any, specs: Sequence[Spec]) -> str:
    return _normalised(linear(layer, specs), layer.iterations)


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    return _normalised(conv(layer, specs), layer.iterations)


def _parameters(kernel: Axes, window: Axes | None) -> dict[str, NativeParameter]:
    return {
        "kernel": NativeParameter("parametrizations.weight.original", kernel),
        "bias": NativeParameter("bias"),
        "vector_u": NativeParameter("parametrizations.weight.0._u"),
        "vector_v": NativeParameter("parametrizations.weight.0._v", window),
    }


ROWS: dict[str, Lowering] = {
    "spectral_norm_dense": Lowering(_dense, on_the_last_axis, _parameters((1, 0), None)),
    "spectral_norm_conv2d": Lowering(_conv, padded_call, _parameters((3, 2, 0, 1), ((2, 0, 1),))),
}
