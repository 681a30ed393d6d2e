"""Random layers beside dropout."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row


def _seeded(kind: str, option: str) -> Lowering:
    return layer_row(
        lambda layer, specs: f"keras.layers.{kind}({getattr(layer, option)!r}, seed=SEED, "
    )


ROWS: dict[str, Lowering] = {
    "spatial_dropout1d": _seeded("SpatialDropout1D", "rate"),
    "spatial_dropout2d": _seeded("SpatialDropout2D", "rate"),
    "alpha_dropout": _seeded("AlphaDropout", "rate"),
    "gaussian_noise": _seeded("GaussianNoise", "deviation"),
}
