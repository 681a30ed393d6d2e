"""Activations that are made of straight pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.activations import activation, with_option
from invariants.backends.tensorflow.rows.common import layer_row, opened


def _prelu(layer: Any, specs: Sequence[Spec]) -> str:
    rank = specs[0].rank
    shared = {"positions": rank - 1, "all": rank, "none": 0}[layer.sharing]
    return opened("PReLU", shared_axes=list(range(1, shared + 1)) or None)


def _shrink(name: str) -> Lowering:
    return layer_row(lambda layer, specs: with_option(name, "threshold", layer.threshold))


ROWS: dict[str, Lowering] = {
    "relu6": activation("relu6"),
    "hard_tanh": activation("hard_tanh"),
    "hard_sigmoid": activation("hard_sigmoid"),
    "hard_silu": activation("hard_silu"),
    "softshrink": _shrink("soft_shrink"),
    "hard_shrink": _shrink("hard_shrink"),
    "prelu": layer_row(_prelu, "alpha"),
}
