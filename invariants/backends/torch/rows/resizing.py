"""Upsampling, padding and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, arguments
from invariants.backends.torch.rows.common import plain


def _kept(extent: int, widths: tuple[int, int]) -> str:
    """A slice without the first and last elements."""
    before, after = widths
    return f"{before or ''}:{extent - after if after else ''}"


def _crop2d(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    h, w, _ = specs[0].shape
    rows, columns = layer.cropping
    return f"{args[0]}[:, :, {_kept(h, rows)}, {_kept(w, columns)}]"


def _pad2d(layer: Any, specs: Sequence[Spec]) -> str:
    rows, columns = layer.padding
    return f"nn.ZeroPad2d({(*columns, *rows)})"


def _up_sampling(layer: Any, specs: Sequence[Spec]) -> str:
    options: dict[str, Any] = {"scale_factor": layer.size}
    if layer.interpolation != "nearest":
        options |= {"mode": layer.interpolation, "align_corners": layer.align_corners}
    return f"nn.Upsample({arguments(**options)})"


ROWS: dict[str, Lowering] = {
    "up_sampling2d": Lowering(_up_sampling, plain),
    "up_sampling1d": Lowering(
        _up_sampling,
        lambda layer, name, args, specs: f"{name}({args[0]}.transpose(1, 2)).transpose(1, 2)",
    ),
    "zero_padding2d": Lowering(_pad2d, plain),
    "zero_padding1d": Lowering(
        None, lambda layer, name, args, specs: f"F.pad({args[0]}, {(0, 0, *layer.padding)})"
    ),
    "cropping2d": Lowering(None, _crop2d),
    "cropping1d": Lowering(
        None,
        lambda layer, name, args, specs: (
            f"{args[0]}[:, {_kept(specs[0].shape[0], layer.cropping)}]"
        ),
    ),
}
