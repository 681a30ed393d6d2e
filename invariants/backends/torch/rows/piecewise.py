"""Activations that are made of straight pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.common import module, plain
from invariants.backends.torch.rows.normalization import channels_second


def _hard_tanh(layer: Any, specs: Sequence[Spec]) -> str:
    usual = (layer.low, layer.high) == (-1.0, 1.0)
    return "nn.Hardtanh()" if usual else f"nn.Hardtanh({layer.low!r}, {layer.high!r})"


ROWS: dict[str, Lowering] = {
    "relu6": module("nn.ReLU6()"),
    "hard_tanh": Lowering(_hard_tanh, plain),
    "hard_sigmoid": module("nn.Hardsigmoid()"),
    "hard_silu": module("nn.Hardswish()"),
    "softshrink": Lowering(lambda layer, specs: f"nn.Softshrink({layer.threshold!r})", plain),
    "hard_shrink": Lowering(lambda layer, specs: f"nn.Hardshrink({layer.threshold!r})", plain),
    "prelu": Lowering(
        lambda layer, specs: f"nn.PReLU({1 if layer.sharing == 'all' else specs[0].shape[-1]})",
        channels_second,
        {"alpha": NativeParameter("weight", (-1,))},
    ),
}
