"""What the rows of several families share.

Images and volumes are held channels first (N, C, H, W), as torch has them; layers that go by the
last axis of the canonical layout permute around themselves, as ConvNeXt and others write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering

#: rank of a value -> what brings its channels last, and back; for other ranks they are last.
CHANNELS_LAST = {3: "permute(0, 2, 3, 1)", 4: "permute(0, 2, 3, 4, 1)"}
CHANNELS_FIRST = {3: "permute(0, 3, 1, 2)", 4: "permute(0, 4, 1, 2, 3)"}

#: Axes of a value of the network (batch axis included), native from canonical, by rank.
VALUE_AXES: dict[int, tuple[int, ...]] = {3: (0, 3, 1, 2), 4: (0, 4, 1, 2, 3)}


def plain(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """A call of the module with its arguments as they are."""
    return f"{name}({', '.join(args)})"


def module(expression: str) -> Lowering:
    """A row for a module that is made the same way for every layer of its kind."""
    return Lowering(lambda layer, specs: expression, plain)


def canonical(argument: str, rank: int) -> str:
    """The expression of a value with its channels last."""
    return f"{argument}.{CHANNELS_LAST[rank]}" if rank in CHANNELS_LAST else argument


def native(expression: str, rank: int) -> str:
    """The expression of a value that has its channels last, as the network holds it."""
    return f"{expression}.{CHANNELS_FIRST[rank]}" if rank in CHANNELS_FIRST else expression


def on_the_last_axis(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """A call of a module that goes by the last axis of the canonical layout."""
    rank = specs[0].rank
    return native(f"{name}({canonical(args[0], rank)})", rank)


def native_axis(axis: int, rank: int) -> int:
    """The axis that holds what stands at `axis`, from the end, of a canonical value of `rank`."""
    return VALUE_AXES[rank].index(rank + 1 + axis) if rank in VALUE_AXES else axis


def channel_axis(rank: int) -> int:
    """The axis that holds the channels of a value of `rank`."""
    return native_axis(-1, rank)
