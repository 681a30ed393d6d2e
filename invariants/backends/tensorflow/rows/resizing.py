"""Upsampling, padding and cropping."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened


def _sized(kind: str, field: str) -> Any:
    return lambda layer, specs: f"keras.layers.{kind}({getattr(layer, field)!r}, "


def _up_sampling2d(layer: Any, specs: Any) -> str:
    return opened("UpSampling2D", size=layer.size, interpolation=layer.interpolation)


ROWS: dict[str, Lowering] = {
    "up_sampling2d": layer_row(_up_sampling2d),
    "up_sampling1d": layer_row(_sized("UpSampling1D", "size")),
    "zero_padding2d": layer_row(_sized("ZeroPadding2D", "padding")),
    "zero_padding1d": layer_row(_sized("ZeroPadding1D", "padding")),
    "cropping2d": layer_row(_sized("Cropping2D", "cropping")),
    "cropping1d": layer_row(_sized("Cropping1D", "cropping")),
}
