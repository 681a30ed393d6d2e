"""Norms and dropout."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened

ROWS: dict[str, Lowering] = {
    "layer_norm": layer_row(
        lambda layer, specs: opened("LayerNormalization", epsilon=layer.epsilon), "gamma", "beta"
    ),
    "batch_norm": layer_row(
        lambda layer, specs: opened(
            "BatchNormalization", momentum=1.0 - layer.update, epsilon=layer.epsilon
        ),
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ),
    "dropout": layer_row(lambda layer, specs: f"keras.layers.Dropout({layer.rate!r}, seed=SEED, "),
}
