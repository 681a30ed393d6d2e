"""Convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import plain


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(
        stride=layer.strides, padding=_conv_padding(layer), groups=layer.groups, bias=layer.use_bias
    )
    return f"nn.Conv2d({specs[0].shape[2]}, {layer.filters}, {layer.kernel_size}, {options})"


def _conv_padding(layer: Any) -> Any:
    """torch pads evenly by itself where stride is 1 and the kernel odd; elsewhere F.pad does."""
    odd = all(k % 2 for k in layer.kernel_size)
    return "same" if layer.padding == "same" and layer.strides == (1, 1) and odd else 0


def _conv_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (top, bottom), (left, right) = layer.pads(specs[0])
    if _conv_padding(layer) == "same" or not any((top, bottom, left, right)):
        return f"{name}({args[0]})"
    return f"{name}(F.pad({args[0]}, ({left}, {right}, {top}, {bottom})))"


ROWS: dict[str, Lowering] = {
    "conv2d": Lowering(
        _conv,
        _conv_call,
        {"kernel": NativeParameter("weight", (3, 2, 0, 1)), "bias": NativeParameter("bias")},
    ),
    "max_pool2d": Lowering(
        lambda layer, specs: f"nn.MaxPool2d({layer.pool_size}, {arguments(stride=layer.strides)})",
        plain,
    ),
    "avg_pool2d": Lowering(
        lambda layer, specs: f"nn.AvgPool2d({layer.pool_size}, {arguments(stride=layer.strides)})",
        plain,
    ),
    "global_avg_pool2d": Lowering(
        lambda layer, specs: "nn.AdaptiveAvgPool2d(1)",
        lambda layer, name, args, specs: f"{name}({args[0]}).flatten(1)",
    ),
}
