"""Depthwise convolution, with as many groups as channels; a separable one is two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.convolution import (
    BIAS,
    padded_call,
    windows_of,
)

#: Depthwise kernels (KH, KW, C, M) are (C·M, 1, KH, KW) here.
_BY_CHANNEL = ((2, 3), (), 0, 1)
_BY_CHANNEL1D = ((1, 2), (), 0)

_SEPARABLE = '''\
class SeparableConv2d(nn.Module):
    """A depthwise convolution, then one of one by one."""

    def __init__(self, channels, multiplier, filters, kernel_size, bias, **options):
        super().__init__()
        middle = channels * multiplier
        options = {"groups": channels, "bias": False, **options}
        self.depthwise = nn.Conv2d(channels, middle, kernel_size, **options)
        self.pointwise = nn.Conv2d(middle, filters, 1, bias=bias)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))
'''


_SEPARABLE1D = '''\
class SeparableConv1d(nn.Module):
    """A depthwise convolution in time, then one of one step."""

    def __init__(self, channels, multiplier, filters, kernel_size, bias, **options):
        super().__init__()
        middle = channels * multiplier
        options = {"groups": channels, "bias": False, **options}
        self.depthwise = nn.Conv1d(channels, middle, kernel_size, **options)
        self.pointwise = nn.Conv1d(middle, filters, 1, bias=bias)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))
'''


def _depthwise(layer: Any, specs: Sequence[Spec]) -> str:
    *extents, channels = specs[0].shape
    filters, options = channels * layer.depth_multiplier, windows_of(layer, groups=channels)
    return f"nn.Conv{len(extents)}d({channels}, {filters}, {layer.kernel_size}, {options})"


def _separable(layer: Any, specs: Sequence[Spec]) -> str:
    *extents, channels = specs[0].shape
    sizes = f"{channels}, {layer.depth_multiplier}, {layer.filters}, {layer.kernel_size}"
    return f"SeparableConv{len(extents)}d({sizes}, {windows_of(layer)})"


ROWS: dict[str, Lowering] = {
    "depthwise_conv2d": Lowering(
        _depthwise, padded_call, {"kernel": NativeParameter("weight", _BY_CHANNEL), **BIAS}
    ),
    "separable_conv2d": Lowering(
        _separable,
        padded_call,
        {
            "depthwise_kernel": NativeParameter("depthwise.weight", _BY_CHANNEL),
            "pointwise_kernel": NativeParameter("pointwise.weight", (3, 2, 0, 1)),
            "bias": NativeParameter("pointwise.bias"),
        },
        definition=_SEPARABLE,
    ),
    "depthwise_conv1d": Lowering(
        _depthwise, padded_call, {"kernel": NativeParameter("weight", _BY_CHANNEL1D), **BIAS}
    ),
    "separable_conv1d": Lowering(
        _separable,
        padded_call,
        {
            "depthwise_kernel": NativeParameter("depthwise.weight", _BY_CHANNEL1D),
            "pointwise_kernel": NativeParameter("pointwise.weight", (2, 1, 0)),
            "bias": NativeParameter("pointwise.bias"),
        },
        definition=_SEPARABLE1D,
    ),
}
