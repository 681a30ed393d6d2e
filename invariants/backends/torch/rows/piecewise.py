"""Activations that are made of straight pieces."""

from __future__ import annotations

from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.common import module, plain
from invariants.backends.torch.rows.normalization import channels_second

ROWS: dict[str, Lowering] = {
    "relu6": module("nn.ReLU6()"),
    "hard_tanh": module("nn.Hardtanh()"),
    "hard_sigmoid": module("nn.Hardsigmoid()"),
    "hard_silu": module("nn.Hardswish()"),
    "softshrink": Lowering(lambda layer, specs: f"nn.Softshrink({layer.threshold!r})", plain),
    "hard_shrink": Lowering(lambda layer, specs: f"nn.Hardshrink({layer.threshold!r})", plain),
    "prelu": Lowering(
        lambda layer, specs: f"nn.PReLU({specs[0].shape[-1]})",
        channels_second,
        {"alpha": NativeParameter("weight", (-1,))},
    ),
}
