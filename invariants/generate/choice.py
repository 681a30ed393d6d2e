"""Draws through Hypothesis, cheaply: the strategies of small domains are made once.

Every draw shrinks towards the first option, so options stand in the order of their simplicity, and
a likelier option is listed more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


@lru_cache(maxsize=1024)
def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


_BOOLEANS = st.booleans()
_SETTLED = st.integers(0, 0)


class Drawn:
    """A `Choice` (see architecture.layers.base) made by Hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self._drawn = 0

    def integer(self, low: int, high: int) -> int:
        if low == high:
            return low
        self._drawn += 1
        drawn: int = self._draw(_integers(low, high))
        return drawn

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        """False is the simpler one."""
        self._drawn += 1
        drawn: bool = self._draw(_BOOLEANS)
        return drawn

    def chance(self, one_in: int) -> bool:
        """True about once in `one_in` draws."""
        return self.integer(0, one_in - 1) == one_in - 1

    def settle(self, choices: int = 100) -> None:
        """Fills up to a number of choices, with choices that have one option.

        Hypothesis tries small examples first and allows them five times the choices of the
        smallest one, and it mutates what it has drawn; an example that outgrows what it was made
        from is rejected. With this many, next to none is.
        """
        for _ in range(self._drawn, choices):
            self._draw(_SETTLED)
