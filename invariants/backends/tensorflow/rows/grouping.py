"""Norms within one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened
from invariants.backends.tensorflow.rows.normalization import affine, spanned


def _unit_normalization(layer: Any, specs: Sequence[Spec]) -> str:
    """The last axis is Keras's default."""
    if layer.axes == (-1,):
        return "keras.layers.UnitNormalization("
    return opened("UnitNormalization", axis=layer.axes[0] if len(layer.axes) == 1 else layer.axes)


ROWS: dict[str, Lowering] = {
    "group_norm": layer_row(
        lambda layer, specs: opened(
            "GroupNormalization", groups=layer.groups, epsilon=layer.epsilon, **affine(layer)
        ),
        "gamma",
        "beta",
    ),
    "instance_norm": layer_row(
        lambda layer, specs: opened(
            "GroupNormalization", groups=-1, epsilon=layer.epsilon, **affine(layer)
        ),
        "gamma",
        "beta",
    ),
    "rms_norm": layer_row(
        lambda layer, specs: opened(
            "RMSNormalization", epsilon=layer.epsilon, **spanned(layer, specs[0].rank)
        ),
        "scale",
    ),
    "unit_normalization": layer_row(_unit_normalization),
}
