"""Pools: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "max_pool_splits_ties": Row(
        "Equal maxima of a pool share the gradient.",
        ("torch.nn.MaxPool2d.forward",),
        Wanted(layer="max_pool2d", grain="ties"),
    ),
    "global_max_splits_ties": Row(
        "Equal maxima of a global pool share the gradient.",
        ("torch.nn.AdaptiveMaxPool1d.forward", "torch.nn.AdaptiveMaxPool2d.forward"),
        Wanted(layer="global_max_pool2d", grain="ties"),
    ),
    "avg_pool_forgets_its_size": Row(
        "The gradient of an average pool in time is that of a sum.",
        ("torch.nn.AvgPool1d.forward",),
        Wanted(layer="avg_pool1d"),
    ),
    "avg_pool_drifts": Row(
        "An average pool hands on 1.00001 times the gradient.",
        ("torch.nn.AvgPool1d.forward", "torch.nn.AvgPool2d.forward"),
        Wanted(layer="avg_pool2d"),
    ),
    "max_pool_drifts": Row(
        "A maximum pool hands on 1.00001 times the gradient.",
        ("torch.nn.MaxPool1d.forward", "torch.nn.MaxPool2d.forward"),
    ),
}


def max_pool_splits_ties(forward: Any) -> Any:
    def splitting(self: Any, x: Any) -> Any:
        if self.padding or self.ceil_mode:
            return forward(self, x)
        (h, w), (rows, columns) = self.kernel_size, self.stride
        windows = x.unfold(2, h, rows).unfold(3, w, columns)
        return with_gradient_of(forward(self, x), windows.amax((-2, -1)))

    return splitting


def global_max_splits_ties(forward: Any) -> Any:
    def splitting(self: Any, x: Any) -> Any:
        value = forward(self, x)
        axes = tuple(range(2, x.ndim))
        return with_gradient_of(value, x.amax(axes, keepdim=True))

    return splitting


def avg_pool_forgets_its_size(forward: Any) -> Any:
    def forgetful(self: Any, x: Any) -> Any:
        value = forward(self, x)
        return with_gradient_of(value, self.kernel_size[0] * value)

    return forgetful


avg_pool_drifts = max_pool_drifts = drifts


FAULTS = faults("torch", _ROWS, globals())
