"""Draws through Hypothesis, cheaply and without waste.

All choices go through one random generator that Hypothesis controls (`strategies.randoms`), so they
shrink like any others, towards the first option; options stand in the order of their simplicity,
and a likelier option is listed more often. Drawn from a strategy each, the choices would be spans
that Hypothesis swaps with one another to find new examples; in a network, where each choice settles
what the next ones are about, one in eight of those runs out of choices and is rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from invariants.oracle.contract import Contract

T = TypeVar("T")

_RANDOMS = st.randoms(use_true_random=False)

#: Where Hypothesis may draw an integer from 100 on, it prefers those that it finds in the modules
#: of its user (and powers of two): a seed would mean other cases after an edit, or in another
#: checkout. So far out it finds none.
_ASIDE = 3 << 40

#: Hypothesis draws small examples first, and allows them five times the choices of the smallest;
#: with this many in the smallest, no example outgrows that.
_AT_LEAST = 40


class Drawn:
    """A `Choice` (see architecture.layers.base) made by Hypothesis."""

    def __init__(
        self, draw: Callable[[st.SearchStrategy[Any]], Any], contracts: Sequence[Contract] = ()
    ) -> None:
        self._random: Random = draw(_RANDOMS)
        self._drawn = 0
        self._contracts = contracts
        #: The kinds of layers, and the points that layers need something of, that some contract
        #: lacks.
        self.lacking = frozenset(kind for contract in contracts for kind in contract.lacks)

    @property
    def reaches_weights(self) -> bool:
        """Whether every contract has a way to freeze one weight of a layer and not another."""
        return all(
            any(
                way.reaches == "weight" and way.name not in contract.without
                for way in contract.ways
            )
            for contract in self._contracts
        )

    def offered(self, point: str) -> tuple[Any, ...]:
        """The values of a point that every contract offers, in the order of the first."""
        first, *others = (contract[point] for contract in self._contracts)
        return tuple(value for value in first if all(value in other for other in others))

    def offers(self, point: str) -> bool:
        """Whether a point that is either true or not is true in every contract."""
        return all(contract[point] for contract in self._contracts)

    def named(self, point: str) -> frozenset[Any]:
        """What any contract names at a point."""
        return frozenset[Any]().union(*(contract[point] for contract in self._contracts))

    def integer(self, low: int, high: int) -> int:
        if low == high:
            return low
        self._drawn += 1
        aside = _ASIDE if high >= 100 else 0
        return self._random.randint(low + aside, high + aside) - aside

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        """False is the simpler one."""
        return self.integer(0, 1) == 1

    def chance(self, one_in: int) -> bool:
        """True about once in `one_in` draws."""
        return self.integer(0, one_in - 1) == one_in - 1

    def settle(self) -> None:
        """Fills up to a number of choices, with choices that have one option."""
        for _ in range(self._drawn, _AT_LEAST):
            self._random.randint(0, 0)
