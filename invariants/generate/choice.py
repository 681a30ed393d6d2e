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


class Drawn:
    """A `Choice` (see architecture.layers.base) made by Hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return low if low == high else self._draw(_integers(low, high))

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        """False is the simpler one."""
        drawn: bool = self._draw(_BOOLEANS)
        return drawn

    def chance(self, one_in: int) -> bool:
        """True about once in `one_in` draws."""
        return self.integer(0, one_in - 1) == one_in - 1
