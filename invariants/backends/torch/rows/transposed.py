"""Transposed convolution: torch crops evenly by itself, an odd last element is sliced off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments


def _output_padding(kernel: int, stride: int, dilation: int, padding: Any, extra: int) -> int:
    """`extra`, and by a rule what a kernel leaves out at the end that reaches not over a stride."""
    if isinstance(padding, int):
        return extra
    return max(stride - (kernel - 1) * dilation - 1, 0) + extra


def _uneven(padding: Any, crops: Sequence[tuple[int, int]]) -> bool:
    """Whether more is to be taken off after than before: torch takes off as much."""
    return padding == "same" and any(before != after for before, after in crops)


def _groups(layer: Any) -> dict[str, int]:
    return {"groups": layer.groups} if layer.groups > 1 else {}


def _transposed(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(
        stride=layer.strides,
        padding=tuple(before for before, _ in layer.crops()),
        output_padding=tuple(_output_padding(*axis) for axis in layer.axes),
        bias=layer.use_bias,
        dilation=layer.dilation,
        **_groups(layer),
    )
    *axes, channels = specs[0].shape
    made = f"nn.ConvTranspose{len(axes)}d"
    return f"{made}({channels}, {layer.filters}, {layer.kernel_size}, {options})"


def _call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    y = f"{name}({args[0]})"
    if not _uneven(layer.padding, layer.crops()):
        return y
    return f"{y}[:, :, {', '.join(f':{n}' for n in layer.spatial(specs[0]))}]"


def _transposed1d(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(
        stride=layer.strides,
        padding=layer.crop()[0],
        output_padding=_output_padding(*layer.axis),
        bias=layer.use_bias,
        dilation=layer.dilation,
        **_groups(layer),
    )
    features = specs[0].shape[1]
    return f"nn.ConvTranspose1d({features}, {layer.filters}, {layer.kernel_size}, {options})"


def _call1d(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    uneven = _uneven(layer.padding, [layer.crop()])
    kept = f"[:, :, :{layer.extent(specs[0].shape[0])}]" if uneven else ""
    return f"{name}({args[0]}.transpose(1, 2)){kept}.transpose(1, 2)"


_BIAS = {"bias": NativeParameter("bias")}

ROWS: dict[str, Lowering] = {
    "conv2d_transpose": Lowering(
        _transposed, _call, {"kernel": NativeParameter("weight", (3, 2, 0, 1)), **_BIAS}
    ),
    "conv3d_transpose": Lowering(
        _transposed, _call, {"kernel": NativeParameter("weight", (4, 3, 0, 1, 2)), **_BIAS}
    ),
    "conv1d_transpose": Lowering(
        _transposed1d, _call1d, {"kernel": NativeParameter("weight", (2, 1, 0)), **_BIAS}
    ),
}
