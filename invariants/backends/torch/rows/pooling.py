"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, arguments
from invariants.backends.torch.rows.common import plain


def _pool(kind: str) -> Any:
    def made(layer: Any, specs: Sequence[Spec]) -> str:
        options: dict[str, Any] = {"stride": layer.strides}
        if layer.padding == "half":
            size = layer.pool_size
            options["padding"] = size // 2 if isinstance(size, int) else tuple(n // 2 for n in size)
        if layer.padding == "ceil":
            options["ceil_mode"] = True
        if layer.padding != "valid" and kind.startswith("Avg"):
            options["count_include_pad"] = layer.counts_padding
        if getattr(layer, "divisor", None):
            options["divisor_override"] = layer.divisor
        if getattr(layer, "dilation", 1) not in (1, (1, 1)):
            options["dilation"] = layer.dilation
        return f"nn.{kind}({layer.pool_size}, {arguments(**options)})"

    return made


def _in_time(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    return f"{name}({args[0]}.transpose(1, 2)).transpose(1, 2)"


def _in_time_contiguous(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """How torch lays out the result of MaxPool1d depends on whether its input requires a gradient.

    What dropout draws goes by the layout, so without this a frozen layer above changes its mask.
    """
    return f"{_in_time(layer, name, args, specs)}.contiguous()"


def _global(kind: str) -> Lowering:
    """Of images and of sequences: everything behind the channels is pooled to one."""

    def call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
        x = f"{args[0]}.transpose(1, 2)" if specs[0].rank == 2 else args[0]
        return f"{name}({x}).flatten(1)"

    return Lowering(lambda layer, specs: f"nn.{kind}(1)", call)


ROWS: dict[str, Lowering] = {
    "max_pool2d": Lowering(_pool("MaxPool2d"), plain),
    "avg_pool2d": Lowering(_pool("AvgPool2d"), plain),
    "max_pool1d": Lowering(_pool("MaxPool1d"), _in_time_contiguous),
    "avg_pool1d": Lowering(_pool("AvgPool1d"), _in_time),
    "global_avg_pool2d": _global("AdaptiveAvgPool2d"),
    "global_avg_pool1d": _global("AdaptiveAvgPool1d"),
    "global_max_pool2d": _global("AdaptiveMaxPool2d"),
    "global_max_pool1d": _global("AdaptiveMaxPool1d"),
}
