"""What a program holds between its actions: weights and states, in samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import TYPE_CHECKING

from invariants.oracle.primitives import Array
from invariants.oracle.rounding import PRECISIONS, Rounding
from invariants.oracle.tape import grid_of

if TYPE_CHECKING:
    from invariants.case import Case


class World:
    """The weights and states of a case as they are now.

    rounding: that of the dtype of the model; lower: that of the format to which operations are
    cast, None where none is. arrays: by name, of shape (samples, ...). grids: the grid that each
    array lies on, if any. weights_version, state_version: how often weights and states have moved.
    stateful: the layers with a state; state_names: their states. held: the weights as they were
    when the region of an autocast that is not left first met them; regions: how often they were
    others altogether.
    """

    def __init__(self, case: Case, lower: str | None) -> None:
        self.rounding = Rounding(PRECISIONS[case.dtype])
        self.lower = self.rounding.apart(lower) if lower else None
        self.arrays: dict[str, Array] = {name: a[None] for name, a in case.weights.items()}
        self.grids = {name: grid_of(array) for name, array in self.arrays.items()}
        self.weights_version = 0
        self.state_version = 0
        self.held: dict[str, Array] = {}
        self.regions = 0
        parameters = case.architecture.parameters
        self.state_names = tuple(n for n, p in parameters.items() if p.role == "state")
        self.stateful = tuple(
            placed
            for placed in case.architecture.layers
            if any(p.role == "state" for p in placed.parameters)
        )

    @property
    def still(self) -> tuple[int, ...]:
        """What the forward pass of each stateful layer goes by where it moves no state."""
        return tuple(self.state_version for _ in self.stateful)

    def meet(self, names: Iterable[str]) -> None:
        """A region of an autocast that is not left casts these weights, and keeps the casts."""
        for name in names:
            self.held.setdefault(name, self.arrays[name])

    def replace_weights(self) -> None:
        """Others in the place of all weights, of which no cast has been kept."""
        self.held = {}
        self.regions += 1

    def with_others(self, arrays: Mapping[str, Array]) -> World:
        """The same, but with other arrays in the place of some."""
        other = copy(self)
        other.arrays, other.grids = dict(self.arrays), dict(self.grids)
        other.move(arrays)
        return other

    def leave(self, arrays: Mapping[str, Array]) -> None:
        """What a forward pass leaves behind: its states, and the weights that it rewrote."""
        self.move(arrays)
        self.state_version += bool(arrays)
        self.weights_version += not {*arrays} <= {*self.state_names}

    def move(self, arrays: Mapping[str, Array]) -> None:
        """Puts other arrays in the place of some."""
        self.arrays.update(arrays)
        self.grids.update((name, grid_of(array)) for name, array in arrays.items())
