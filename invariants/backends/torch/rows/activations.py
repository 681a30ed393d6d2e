"""Activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, arguments
from invariants.backends.torch.rows.common import channel_axis, module, native_axis, plain


def _over_an_axis(kind: str) -> Lowering:
    return Lowering(
        lambda layer, specs: f"nn.{kind}(dim={native_axis(layer.axis, specs[0].rank)})", plain
    )


def _softplus(layer: Any, specs: Sequence[Spec]) -> str:
    options = {} if layer.beta == 1.0 else {"beta": layer.beta}
    if layer.threshold is not None:
        options["threshold"] = layer.threshold
    return f"nn.Softplus({arguments(**options)})"


ROWS: dict[str, Lowering] = {
    "relu": module("nn.ReLU()"),
    "leaky_relu": Lowering(lambda layer, specs: f"nn.LeakyReLU({layer.negative_slope!r})", plain),
    "elu": Lowering(lambda layer, specs: f"nn.ELU({layer.alpha!r})", plain),
    "gelu": Lowering(
        lambda layer, specs: f"nn.GELU({'tanh' if layer.approximate else 'none'!r})", plain
    ),
    "silu": module("nn.SiLU()"),
    "softplus": Lowering(_softplus, plain),
    "tanh": module("nn.Tanh()"),
    "sigmoid": module("nn.Sigmoid()"),
    "softmax": _over_an_axis("Softmax"),
    "log_softmax": _over_an_axis("LogSoftmax"),
    "log_sigmoid": module("nn.LogSigmoid()"),
    "softsign": module("nn.Softsign()"),
    "tanhshrink": module("nn.Tanhshrink()"),
    "mish": module("nn.Mish()"),
    "selu": module("nn.SELU()"),
    "celu": Lowering(lambda layer, specs: f"nn.CELU({layer.alpha!r})", plain),
    "glu": Lowering(lambda layer, specs: f"nn.GLU(dim={channel_axis(specs[0].rank)})", plain),
}
