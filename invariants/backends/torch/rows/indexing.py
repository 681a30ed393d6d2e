"""Layers that reorder, repeat or pick elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering
from invariants.backends.torch.rows.common import VALUE_AXES


def _permute(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """One permutation of the axes as the network holds them."""
    held = VALUE_AXES.get(specs[0].rank, tuple(range(specs[0].rank + 1)))
    canonical = (0, *layer.dims)
    native = [held.index(canonical[axis]) for axis in held]
    return f"{args[0]}.permute({', '.join(map(str, native))})"


def _slice(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    rank = specs[0].rank
    held = VALUE_AXES.get(rank, tuple(range(rank + 1)))
    before = held.index(rank if layer.axis == "last" else 1)
    return f"{args[0]}[{':, ' * before}{layer.start}:{layer.stop}]"


def _split(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    rank = specs[0].rank
    held = VALUE_AXES.get(rank, tuple(range(rank + 1)))
    axis = held.index(rank if layer.axis == "last" else 1)
    return f"{args[0]}.chunk({layer.parts}, dim={axis})[{layer.part}]"


ROWS: dict[str, Lowering] = {
    "permute": Lowering(None, _permute),
    "repeat_vector": Lowering(
        None,
        lambda layer, name, args, specs: f"{args[0]}.unsqueeze(1).repeat(1, {layer.times}, 1)",
    ),
    "slice": Lowering(None, _slice),
    "split": Lowering(None, _split),
}
