"""Which options a backend lacks that another one has, and which layers ask for them.

What a layer asks for, it says itself (`Layer.needs`). So some of each kind are drawn as another
backend has them, always the same ones, and what this backend does not offer of that is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from random import Random
from typing import Any

from invariants.architecture.kinds import taken
from invariants.architecture.layers import LAYERS
from invariants.generate.choice import Drawn
from invariants.oracle.contract import CONTRACTS, Contract, worded

#: How many layers of a kind are drawn: what they ask for, one in twelve at least does.
_DRAWN = 200

#: The points that a program asks about, whatever its layers are.
_OF_PROGRAMS = (
    "parameter_groups",
    "cast_in_place",
    "batchmean_losses",
    "optimizers",
    "optimizer_settings",
    "averages",
    "average_of_states",
    "average_overwrites",
    "gradient_accumulation",
    "maximizing",
)


@dataclass(frozen=True)
class Unoffered:
    """Values of a point that another backend offers, and this one does not.

    kinds: the layers that ask for one of them; none where a program does. said: the sentence of
    this backend's documentation.
    """

    point: str
    values: tuple[Any, ...]
    kinds: tuple[str, ...]
    said: str

    @property
    def option(self) -> str:
        """The point with its values, in words."""
        return worded(self.point, *self.values)


@cache
def unoffered(backend: str) -> tuple[Unoffered, ...]:
    """What a backend lacks of what others have, in the order of its clauses."""
    contract = CONTRACTS[backend]
    found = []
    for other in CONTRACTS.values():
        asked = _asked(contract, other)
        for point in contract.clauses:
            lacked = [v for v in _values(other, point) if v not in _values(contract, point)]
            values = [v for v in lacked if point in _OF_PROGRAMS or (point, v) in asked]
            kinds = {kind: None for v in values for kind in asked.get((point, v), ())}
            if values:
                found.append(Unoffered(point, (*values,), (*kinds,), contract.said(point)))
    return tuple(found)


def _values(contract: Contract, point: str) -> tuple[Any, ...]:
    """What a backend offers at a point; where that is no choice of values, it has it or not."""
    value = contract[point]
    if isinstance(value, tuple):
        return value
    return (False, True) if value else (False,)


def _asked(contract: Contract, other: Contract) -> dict[tuple[str, Any], dict[str, None]]:
    """(point, value) -> the kinds that ask for it, of the layers that both backends have."""
    asked: dict[tuple[str, Any], dict[str, None]] = {}
    choice = Drawn(lambda strategy: Random(0), (other,))
    for kind, layer in LAYERS.items():
        calls = () if kind in {*contract.lacks, *other.lacks} else taken(kind)
        for specs in islice(cycle(calls), _DRAWN):
            for need in layer.draw(choice, specs).needs().items():
                asked.setdefault(need, {})[kind] = None
    return asked
