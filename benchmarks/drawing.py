"""Cases for the benchmarks: the same for the same seed.

    python -m benchmarks.drawing [--cases N] [--seed N]

prints for each backend how long drawing a case takes: the median, and the tenth that takes longest,
in milliseconds of processor time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

from hypothesis import given, seed
from hypothesis import strategies as st

from invariants.case import Case
from invariants.generate.cases import cases
from invariants.generate.series import drawing
from invariants.oracle.contract import CONTRACTS

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


def times(backend: str, count: int, start: int) -> list[float]:
    """For each of `count` cases the milliseconds of processor time that drawing it took."""
    held: list[float] = []
    strategy = cases((backend,))

    @seed(start)
    @drawing(count)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        begun = time.process_time()
        data.draw(strategy)
        held.append(1000.0 * (time.process_time() - begun))

    draw()
    return held


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=600, metavar="N")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    for backend in CONTRACTS:
        held = times(backend, arguments.cases, arguments.seed)
        median, tenth = statistics.median(held), statistics.quantiles(held, n=10)[-1]
        print(f"{backend}: {median:.2f} ms, a tenth of the cases above {tenth:.2f} ms")


if __name__ == "__main__":
    main()
