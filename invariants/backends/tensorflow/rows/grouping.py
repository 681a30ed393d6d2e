"""Norms within one sample."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened
from invariants.backends.tensorflow.rows.normalization import affine, spanned

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
    "unit_normalization": layer_row("keras.layers.UnitNormalization("),
}
