"""What the backends share in rendering a case as the source of a training script.

Every name in a source comes from the numbering of the architecture, every number from `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invariants.architecture.layers.base import Spec

Axes = tuple[int, ...]


@dataclass(frozen=True)
class NativeParameter:
    """The framework's name of a parameter, and the order of its axes (native from canonical)."""

    name: str
    axes: Axes | None = None


@dataclass(frozen=True)
class Lowering:
    """One row of a backend's table: how a layer is made, called, and what its parameters are.

    construct: (layer, specs) -> the expression that makes it, or None where a call needs nothing.
    call: (layer, name of the made layer, argument expressions, specs) -> the expression of a call.
    """

    construct: Callable[[Any, Sequence[Spec]], str] | None
    call: Callable[[Any, str, Sequence[str], Sequence[Spec]], str]
    parameters: Mapping[str, NativeParameter] = field(default_factory=dict)


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    return [("    " * levels + line) if line else "" for line in lines]


def arguments(**options: Any) -> str:
    """Keyword arguments as source."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def camel(path: str) -> str:
    """block_1.block_2 -> Block1Block2; the network itself is Net."""
    return path.replace("_", "").replace("block", "Block").replace(".", "") or "Net"
