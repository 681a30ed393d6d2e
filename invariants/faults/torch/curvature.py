"""Second derivatives that are wrong where the first are right."""

from __future__ import annotations

from functools import cache
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import frozen
from invariants.generate.cases import Wanted

_ROWS = {
    "frozen_linear_is_differentiated_once": Row(
        "A frozen Linear hands on a gradient that counts as a constant from there on.",
        ("torch.nn.Linear.forward",),
        Wanted(mode="second_order"),
    ),
    "frozen_conv_is_differentiated_once": Row(
        "A frozen Conv2d hands on a gradient that counts as a constant from there on.",
        ("torch.nn.Conv2d.forward",),
        Wanted(mode="second_order"),
    ),
    "tanh_slope_is_constant": Row(
        "The slope of tanh counts as a constant where a gradient is differentiated.",
        ("torch.nn.Tanh.forward",),
        Wanted(mode="second_order"),
    ),
}


@cache
def _functions() -> Any:
    import torch

    class Once(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return upstream.detach()

    class Tanh(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = torch.tanh(x)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            (y,) = ctx.saved_tensors
            return torch.ops.aten.tanh_backward(upstream, y.detach())

    return Once, Tanh


def _once_where_frozen(forward: Any) -> Any:
    def once(self: Any, x: Any) -> Any:
        return forward(self, _functions()[0].apply(x) if frozen(self) else x)

    return once


def frozen_linear_is_differentiated_once(forward: Any) -> Any:
    return _once_where_frozen(forward)


def frozen_conv_is_differentiated_once(forward: Any) -> Any:
    return _once_where_frozen(forward)


def tanh_slope_is_constant(forward: Any) -> Any:
    return lambda self, x: _functions()[1].apply(x)


FAULTS = faults("torch", _ROWS, globals())
