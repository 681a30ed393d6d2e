"""What the backends share in rendering a case as the source of a training script.

Every name in a source comes from the numbering of the architecture, every number from `repr`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from invariants.architecture.layers.base import Spec
from invariants.case import Case

Axes = tuple[int, ...]
Array = np.ndarray


@dataclass(frozen=True)
class NativeParameter:
    """A parameter as the framework has it.

    name: within its layer, as the framework lists it. axes: the order of its axes, native from
    canonical. attribute: the expression that reaches it from its layer, where that is not its name.
    moved: the native array from the canonical one, where that takes more than an order of axes
    (gates in another order, axes merged); it moves elements and changes none.
    """

    name: str
    axes: Axes | None = None
    attribute: str = ""
    moved: Callable[[Array], Array] | None = None

    def to_native(self, array: Array) -> Array:
        """The native array of a canonical one."""
        if self.moved is not None:
            return np.ascontiguousarray(self.moved(array))
        return np.ascontiguousarray(array if self.axes is None else array.transpose(self.axes))

    def to_canonical(self, array: Array, shape: Sequence[int]) -> Array:
        """The canonical array, of `shape`, of a native one; one of a wrong shape stays as it is."""
        if self.moved is None:
            return array if self.axes is None else array.transpose(np.argsort(self.axes))
        places = self.moved(np.arange(math.prod(shape)).reshape(shape))
        if places.shape != array.shape:
            return array
        canonical = np.empty(math.prod(shape), dtype=array.dtype)
        canonical[places] = array
        return canonical.reshape(shape)


@dataclass(frozen=True)
class Lowering:
    """One row of a backend's table: how a layer is made, called, and what its parameters are.

    construct: (layer, specs) -> the expression that makes it, or None where a call needs nothing.
    call: (layer, name of the made layer, argument expressions, specs) -> the expression of a call.
    definition: the classes or functions that the two need, each a text of its own; they stand once
    on top of the script.
    """

    construct: Callable[[Any, Sequence[Spec]], str] | None
    call: Callable[[Any, str, Sequence[str], Sequence[Spec]], str]
    parameters: Mapping[str, NativeParameter] = field(default_factory=dict)
    definition: str | tuple[str, ...] = ""


def joined_tables(*tables: Mapping[str, Lowering]) -> dict[str, Lowering]:
    """One table from those of the families; raises ValueError where two have a row in common."""
    joined: dict[str, Lowering] = {}
    for table in tables:
        twice = joined.keys() & table.keys()
        if twice:
            raise ValueError(f"two rows for {', '.join(sorted(twice))}")
        joined.update(table)
    return joined


def definitions(case: Case, lowerings: Mapping[str, Lowering]) -> list[str]:
    """The lines of what the layers of a case need defined, each once."""
    kinds = dict.fromkeys(placed.layer.kind for placed in case.architecture.layers)
    rows = (lowerings[kind].definition for kind in kinds)
    texts = dict.fromkeys(
        text for row in rows for text in ((row,) if isinstance(row, str) else row)
    )
    return [line for text in texts if text for line in (*text.splitlines(), "", "")]


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    return [("    " * levels + line) if line else "" for line in lines]


def arguments(**options: Any) -> str:
    """Keyword arguments as source."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def camel(path: str) -> str:
    """block_1.block_2 -> Block1Block2; the network itself is Net."""
    return path.replace("_", "").replace("block", "Block").replace(".", "") or "Net"
