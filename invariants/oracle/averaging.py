"""Averages of weights between steps, as the documentation of each framework has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import Rounding


class Averages:
    """A copy of the weights, in samples, that follows them.

    average: what the case asks for. first: the weights and states that it is made with. count: the
    steps so far.
    """

    def __init__(
        self, average: Any, contract: Contract, rounding: Rounding, arrays: Mapping[str, Array]
    ) -> None:
        self.average = average
        self.contract = contract
        self.rounding = rounding
        self.first = dict(arrays)
        self.forget()

    def forget(self) -> None:
        """Starts anew."""
        self.held: dict[str, Array] = {}
        self.count = 0

    def new_optimizer(self) -> None:
        """The averages of an optimizer are gone with it."""
        if self.contract["averages_belong_to"] == "the_optimizer":
            self.forget()

    def update(self, arrays: Mapping[str, Array], names: Iterable[str], states: set[str]) -> None:
        """After a step: the averages of `names`, of which states may be taken as they are."""
        for name in names:
            synced = name in states and not self.average.buffers
            plain = self.count == 0 or synced
            self.held[name] = arrays[name] if plain else self._next(self.held[name], arrays[name])
        self.count += 1

    def _next(self, old: Array, new: Array) -> Array:
        """decay · old + (1 - decay) · new; the mean of all so far has another decay each time."""
        if self.contract["average_of_a_constant"] == "kept" and np.array_equal(old, new):
            return new
        equal = self.average.kind == "equal"
        decay = self.count / (self.count + 1.0) if equal else self.average.decay
        rounded = self.rounding.disturb
        share = rounded(np.array([decay])).reshape(-1, *[1] * (old.ndim - 1))
        return rounded(rounded(share * old) + rounded(rounded(1.0 - share) * new))

    def overwrites(self, held: Iterable[str], trainable: Iterable[str], fitted: bool) -> set[str]:
        """The weights that a step replaces by their averages.

        held: those of the optimizer. fitted: the step was a call of fit().
        """
        every = self.average.overwrite
        due = bool(every) and self.count % every == 0
        known = set(held) & set(self.held)
        if due and self.contract["average_overwrites"] == "held":
            return known
        return known & set(trainable) if due or fitted else set()

    def taken(self, names: Iterable[str]) -> dict[str, Array]:
        """What weights become that take their averages; those without one stay."""
        before = self.contract["average_before_a_step"]
        if self.count or before == "the_weight":
            return {name: self.held[name] for name in names if name in self.held}
        if before == "zeros":
            return {name: np.zeros_like(self.first[name]) for name in names}
        return {name: self.first[name] for name in names}
