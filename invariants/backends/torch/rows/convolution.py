"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments


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


def steps_of(layer: Any, **options: Any) -> str:
    return arguments(
        stride=layer.strides,
        padding=_padding1d(layer),
        dilation=layer.dilation,
        **options,
        bias=layer.use_bias,
    )


def _conv1d(layer: Any, specs: Sequence[Spec]) -> str:
    options = steps_of(layer, groups=layer.groups)
    return f"nn.Conv1d({specs[0].shape[1]}, {layer.filters}, {layer.kernel_size}, {options})"


def padded_call1d(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    pads, x = layer.pads(specs[0].shape[0]), f"{args[0]}.transpose(1, 2)"
    if any(pads) and _padding1d(layer) == 0:
        x = f"F.pad({x}, {pads})"
    return f"{name}({x}).transpose(1, 2)"


BIAS = {"bias": NativeParameter("bias")}

ROWS: dict[str, Lowering] = {
    "conv2d": Lowering(
        _conv, padded_call, {"kernel": NativeParameter("weight", (3, 2, 0, 1)), **BIAS}
    ),
    "conv1d": Lowering(
        _conv1d, padded_call1d, {"kernel": NativeParameter("weight", (2, 1, 0)), **BIAS}
    ),
}
