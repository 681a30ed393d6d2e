"""Convolution over sequences, images and volumes, which torch has channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Axes, Lowering, NativeParameter, arguments


def _padding(layer: Any) -> Any:
    """torch pads by itself, by "same" where all strides are 1; elsewhere F.pad does.

    So it does for an odd number of zeros, which torch adds with a warning.
    """
    if not isinstance(layer.padding, str):
        return layer.padding
    plain = layer.padding == "same" and all(stride == 1 for _, stride, _ in layer.axes)
    even = all((kernel - 1) * dilation % 2 == 0 for kernel, _, dilation in layer.axes)
    return "same" if plain and (even or layer.padding_mode != "zeros") else 0


def windows_of(layer: Any, **options: Any) -> str:
    dilated = any(dilation > 1 for *_, dilation in layer.axes)
    dilation = {"dilation": layer.dilation} if dilated else {}
    mode = {} if layer.padding_mode == "zeros" else {"padding_mode": layer.padding_mode}
    return arguments(
        stride=layer.strides,
        padding=_padding(layer),
        **dilation,
        **options,
        **mode,
        bias=layer.use_bias,
    )


def conv(layer: Any, specs: Sequence[Spec], **options: Any) -> str:
    """A convolution over as many axes as the value has before its channels."""
    *extents, channels = specs[0].shape
    sizes = f"{channels}, {layer.filters}, {layer.kernel_size}"
    return f"nn.Conv{len(extents)}d({sizes}, {windows_of(layer, **options)})"


def _grouped(layer: Any, specs: Sequence[Spec]) -> str:
    return conv(layer, specs, groups=layer.groups)


def padded_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (x,), series = args, specs[0].rank == 2
    if series:
        x = f"{x}.transpose(1, 2)"
    widths = tuple(n for pads in reversed(layer.pads(specs[0])) for n in pads)
    if any(widths) and _padding(layer) == 0:
        x = f"F.pad({x}, {widths})"
    return f"{name}({x}).transpose(1, 2)" if series else f"{name}({x})"


BIAS = {"bias": NativeParameter("bias")}


def _row(axes: Axes) -> Lowering:
    return Lowering(_grouped, padded_call, {"kernel": NativeParameter("weight", axes), **BIAS})


ROWS: dict[str, Lowering] = {
    "conv2d": _row((3, 2, 0, 1)),
    "conv1d": _row((2, 1, 0)),
    "conv3d": _row((4, 3, 0, 1, 2)),
}
