"""How the cost of verifying grows: with parameters, with depth, with actions, with workers.

    python -m benchmarks.growth [--rounds N] [--backend NAME ...]

Chains of dense layers in float64: wider ones, deeper ones, and programs of more gradients, each of
them the median of several networks, in processor seconds. The exponent p is that of the least
squares fit of log(seconds) = p · log(size) + c over the larger half of the sizes, where what a
case costs whatever its size is no longer most of it. Workers: seconds by the clock of a run of
`invariants verify` with one and with two.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.chains import chain, parameters_of
from benchmarks.cost import seconds
from invariants.case import Case
from invariants.judge import judge

DEPTH, WIDTH = 4, 8
WIDTHS = (8, 16, 32, 64, 128, 256)
DEPTHS = (2, 4, 8, 16, 32, 64)
ACTIONS = (1, 2, 4, 8)

#: Cases of a run that is timed with one worker and with two.
CASES = 400


def of_width(backend: str, width: int, seed: int) -> Case:
    return chain(backend, DEPTH, width, "float64", seed)


def of_depth(backend: str, depth: int, seed: int) -> Case:
    return chain(backend, depth, WIDTH, "float64", seed)


def of_gradients(backend: str, count: int, seed: int) -> Case:
    """A chain of which so many gradients are taken, under one mask each."""
    return chain(backend, DEPTH, WIDTH, "float64", seed, masks=count)


#: What grows -> the sizes, how they are counted, and the case of a size and a seed.
SERIES: dict[str, tuple[Sequence[int], Callable[[int], int], Callable[[str, int, int], Case]]] = {
    "parameters": (WIDTHS, lambda width: parameters_of(DEPTH, width), of_width),
    "depth": (DEPTHS, lambda depth: depth, of_depth),
    "gradients": (ACTIONS, lambda count: count, of_gradients),
}


def exponent(sizes: Sequence[float], taken: Sequence[float]) -> float:
    """That of the fit over the larger half of the sizes."""
    half = len(sizes) // 2
    slope, _ = np.polyfit(np.log(sizes[half:]), np.log(taken[half:]), 1)
    return float(slope)


def measure(backend: str, what: str, rounds: int) -> dict[str, Any]:
    """The median seconds at each size, and the exponent of their growth."""
    sizes, counted, made = SERIES[what]
    medians = []
    for size in sizes:
        judge(made(backend, size, 0), backend)  # first calls
        cases = [made(backend, size, 1 + number) for number in range(rounds)]
        medians.append(
            statistics.median(seconds(lambda case=case: judge(case, backend)) for case in cases)  # type: ignore[misc]
        )
    counts = [counted(size) for size in sizes]
    return {
        "backend": backend,
        "grows with": what,
        "rounds": rounds,
        "seconds": dict(zip(counts, medians, strict=True)),
        "exponent": exponent(counts, medians),
    }


def workers(rounds: int) -> dict[str, Any]:
    """How many times the throughput of one worker two have."""
    ratios = []
    for number in range(rounds):
        taken = {count: _verified(count, number) for count in (1, 2)}
        ratios.append(taken[1] / taken[2])
    return {"grows with": "workers", "rounds": rounds, "two against one": statistics.median(ratios)}


def _verified(count: int, number: int) -> float:
    command = [sys.executable, "-m", "invariants", "verify", "--backend", "torch", "-n", str(count)]
    command += ["--max-examples", str(CASES), "--seed", str(number)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([*command, "--report", folder], check=False, capture_output=True)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--backend", action="append", default=[], choices=["torch", "tensorflow"])
    arguments = parser.parse_args()
    for backend in arguments.backend or ("torch", "tensorflow"):
        for what in SERIES:
            print(measure(backend, what, arguments.rounds), flush=True)
    print(workers(arguments.rounds))


if __name__ == "__main__":
    main()
