"""Layers that reorder, repeat or pick elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows.common import layer_row


def _slice(layer: Any, specs: Sequence[Spec]) -> str:
    before = ":, " * specs[0].rank if layer.axis == "last" else ":, "
    return f"keras.layers.Lambda(lambda x: x[{before}{layer.start}:{layer.stop}], "


def _split(layer: Any, specs: Sequence[Spec]) -> str:
    axis = -1 if layer.axis == "last" else 1
    taken = f"keras.ops.split(x, {layer.parts}, axis={axis})[{layer.part}]"
    return f"keras.layers.Lambda(lambda x: {taken}, "


ROWS: dict[str, Lowering] = {
    "permute": layer_row(lambda layer, specs: f"keras.layers.Permute({layer.dims}, "),
    "repeat_vector": layer_row(lambda layer, specs: f"keras.layers.RepeatVector({layer.times}, "),
    "slice": layer_row(_slice),
    "split": layer_row(_split),
}
