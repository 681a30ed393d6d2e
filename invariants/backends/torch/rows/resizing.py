"""Upsampling, padding and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
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


ROWS: dict[str, Lowering] = {
    "up_sampling2d": Lowering(
        lambda layer, specs: f"nn.Upsample(scale_factor={layer.size})", plain
    ),
    "up_sampling1d": Lowering(
        lambda layer, specs: f"nn.Upsample(scale_factor={layer.size})",
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
