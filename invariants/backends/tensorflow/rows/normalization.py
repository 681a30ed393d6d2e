"""Norms and dropout."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row, opened


def affine(layer: Any) -> dict[str, bool]:
    """The options of a norm without gamma or beta; those that have them say nothing."""
    options = {"center": "beta", "scale": "gamma"}
    return {option: False for option, name in options.items() if name not in layer.names}


def spanned(layer: Any, rank: int) -> dict[str, list[int]]:
    """The option of a norm over more than the last axis."""
    return {"axis": list(range(-rank, 0))} if layer.span == "all" else {}


ROWS: dict[str, Lowering] = {
    "layer_norm": layer_row(
        lambda layer, specs: opened(
            "LayerNormalization",
            epsilon=layer.epsilon,
            **spanned(layer, specs[0].rank),
            **affine(layer),
        ),
        "gamma",
        "beta",
    ),
    "batch_norm": layer_row(
        lambda layer, specs: opened(
            "BatchNormalization",
            momentum=1.0 - layer.update,
            epsilon=layer.epsilon,
            **affine(layer),
        ),
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ),
    "dropout": layer_row(lambda layer, specs: f"keras.layers.Dropout({layer.rate!r}, seed=SEED, "),
}
