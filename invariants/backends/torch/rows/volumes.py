"""Convolution and pooling over volumes."""

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
    plain = layer.strides == (1, 1, 1)
    return "same" if layer.padding == "same" and plain and even else 0


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    dilation = {} if layer.dilation == (1, 1, 1) else {"dilation": layer.dilation}
    options = arguments(
        stride=layer.strides,
        padding=_padding(layer),
        **dilation,
        groups=layer.groups,
        bias=layer.use_bias,
    )
    return f"nn.Conv3d({specs[0].shape[3]}, {layer.filters}, {layer.kernel_size}, {options})"


def _conv_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    depth, rows, columns = layer.pads(specs[0])
    if _padding(layer) != 0 or not any((*depth, *rows, *columns)):
        return f"{name}({args[0]})"
    return f"{name}(F.pad({args[0]}, {(*columns, *rows, *depth)}))"


def _global(kind: str) -> Lowering:
    return Lowering(
        lambda layer, specs: f"nn.{kind}(1)",
        lambda layer, name, args, specs: f"{name}({args[0]}).flatten(1)",
    )


ROWS: dict[str, Lowering] = {
    "conv3d": Lowering(
        _conv,
        _conv_call,
        {
            "kernel": NativeParameter("weight", (4, 3, 0, 1, 2)),
            "bias": NativeParameter("bias"),
        },
    ),
    "global_avg_pool3d": _global("AdaptiveAvgPool3d"),
    "global_max_pool3d": _global("AdaptiveMaxPool3d"),
}
