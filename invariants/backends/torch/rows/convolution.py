"""Convolution; a depthwise one has as many groups as channels, a separable one is two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments

#: Depthwise kernels (KH, KW, C, M) are (C·M, 1, KH, KW) here.
_BY_CHANNEL = ((2, 3), (), 0, 1)

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


def _padding(layer: Any) -> Any:
    """torch pads evenly by itself, by "same" where stride is 1; elsewhere F.pad does."""
    if not isinstance(layer.padding, str):
        return layer.padding
    even = all((k - 1) * d % 2 == 0 for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
    return "same" if layer.padding == "same" and layer.strides == (1, 1) and even else 0


def windows_of(layer: Any, **options: Any) -> str:
    dilation = {} if layer.dilation == (1, 1) else {"dilation": layer.dilation}
    return arguments(
        stride=layer.strides, padding=_padding(layer), **dilation, **options, bias=layer.use_bias
    )


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    options = windows_of(layer, groups=layer.groups)
    return f"nn.Conv2d({specs[0].shape[2]}, {layer.filters}, {layer.kernel_size}, {options})"


def _depthwise(layer: Any, specs: Sequence[Spec]) -> str:
    channels = specs[0].shape[2]
    filters, options = channels * layer.depth_multiplier, windows_of(layer, groups=channels)
    return f"nn.Conv2d({channels}, {filters}, {layer.kernel_size}, {options})"


def _separable(layer: Any, specs: Sequence[Spec]) -> str:
    sizes = f"{specs[0].shape[2]}, {layer.depth_multiplier}, {layer.filters}"
    return f"SeparableConv2d({sizes}, {layer.kernel_size}, {windows_of(layer)})"


def padded_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (top, bottom), (left, right) = layer.pads(specs[0])
    if _padding(layer) != 0 or not any((top, bottom, left, right)):
        return f"{name}({args[0]})"
    return f"{name}(F.pad({args[0]}, ({left}, {right}, {top}, {bottom})))"


def _padding1d(layer: Any) -> Any:
    if not isinstance(layer.padding, str):
        return layer.padding
    even = (layer.kernel_size - 1) * layer.dilation % 2 == 0
    return "same" if layer.padding == "same" and layer.strides == 1 and even else 0


def _conv1d(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(
        stride=layer.strides,
        padding=_padding1d(layer),
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.use_bias,
    )
    return f"nn.Conv1d({specs[0].shape[1]}, {layer.filters}, {layer.kernel_size}, {options})"


def _conv1d_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    pads, x = layer.pads(specs[0].shape[0]), f"{args[0]}.transpose(1, 2)"
    if any(pads) and _padding1d(layer) == 0:
        x = f"F.pad({x}, {pads})"
    return f"{name}({x}).transpose(1, 2)"


_BIAS = {"bias": NativeParameter("bias")}

ROWS: dict[str, Lowering] = {
    "conv2d": Lowering(
        _conv, padded_call, {"kernel": NativeParameter("weight", (3, 2, 0, 1)), **_BIAS}
    ),
    "conv1d": Lowering(
        _conv1d, _conv1d_call, {"kernel": NativeParameter("weight", (2, 1, 0)), **_BIAS}
    ),
    "depthwise_conv2d": Lowering(
        _depthwise, padded_call, {"kernel": NativeParameter("weight", _BY_CHANNEL), **_BIAS}
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
}
