"""What the backends share in rendering a case as the source of a training script.

Every name in a source comes from the numbering of the architecture, every number from `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.case import Case

#: Native axes from canonical ones: a number is that axis, several are merged into one in that
#: order, none at all is an axis of one element.
Axes = tuple[int | tuple[int, ...], ...]


@dataclass(frozen=True)
class NativeParameter:
    """A parameter as the framework has it.

    name: within its layer, as the framework lists it. axes: its axes, native from canonical; those
    that are left out are of one. attribute: the expression that reaches it from its layer, where
    that is not its name. shape: the canonical shape, known once a case has built the layer.
    """

    name: str
    axes: Axes | None = None
    attribute: str = ""
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Lowering:
    """One row of a backend's table: how a layer is made, called, and what its parameters are.

    construct: (layer, specs) -> the expression that makes it, or None where a call needs nothing.
    call: (layer, name of the made layer, argument expressions, specs) -> the expression of a call.
    definition: the class or function that the two need, which stands once on top of the script.
    drawn_axes: rank of its input -> the axes of what a random layer draws, native from canonical,
    where they are not those of the value.
    """

    construct: Callable[[Any, Sequence[Spec]], str] | None
    call: Callable[[Any, str, Sequence[str], Sequence[Spec]], str]
    parameters: Mapping[str, NativeParameter] = field(default_factory=dict)
    definition: str = ""
    drawn_axes: Mapping[int, Axes] = field(default_factory=dict)


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
    texts = dict.fromkeys(lowerings[kind].definition for kind in kinds)
    return [line for text in texts if text for line in (*text.splitlines(), "", "")]


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    return [("    " * levels + line) if line else "" for line in lines]


def arguments(**options: Any) -> str:
    """Keyword arguments as source."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def camel(path: str) -> str:
    """block_1.block_2 -> Block1Block2; the network itself is Net."""
    return path.replace("_", "").replace("block", "Block").replace(".", "") or "Net"
