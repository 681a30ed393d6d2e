"""Cases for the benchmarks: the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, seed

from invariants.case import Case
from invariants.generate.cases import cases
from invariants.generate.series import drawing

#: One Hypothesis run holds on to memory, so long series are drawn in batches.
BATCH = 200


def drawn(backend: str, count: int, start: int, mode: str = "") -> Iterator[Case]:
    """`count` cases for `backend`, drawn in batches from the seed `start` on.

    mode: the one that they run in; "" for those that are quick.
    """
    number = 0
    while count > 0:
        held = _batch(backend, min(BATCH, count), start * 1_000_003 + number, mode)
        yield from held
        count -= len(held)
        number += 1


def _batch(backend: str, count: int, start: int, mode: str) -> list[Case]:
    held: list[Case] = []

    @seed(start)
    @drawing(count)
    @given(cases((backend,), mode=mode))
    def draw(case: Case) -> None:
        held.append(case)

    draw()
    return held
