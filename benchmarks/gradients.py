"""What a verified gradient costs beside a numerical one, and how each grows with the network.

    python -m benchmarks.gradients [--rounds N] [--backend NAME ...]

Chains of four dense layers in float64, one frozen. The suite renders, runs, expects and judges
each: a program of one gradient, and one that takes eight under other masks, whose seconds are those
of one of them. Beside it, side by side in each round: `gradcheck` in full and in fast mode, or
`tf.test.compute_gradient`, of the loss by the weights that are trained. Processor seconds; ratios
are taken round by round, and their medians told.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.chains import chain, parameters_of
from benchmarks.cost import seconds
from benchmarks.networks import as_tensorflow, as_torch
from invariants.case import Case
from invariants.judge import judge

DEPTH = 4

#: Widths at which such a chain has about 100, 1,000 and 10,000 parameters.
WIDTHS = (4, 15, 49)

#: Gradients of the longer program.
MASKS = 8

ONE, ONE_OF_EIGHT = "a program of one gradient", "one of eight gradients"

Work = Callable[[], object]


def _of_torch(case: Case) -> dict[str, Work]:
    import torch

    loss, trained = as_torch(case)
    weights = [*trained.values()]
    return {
        "gradcheck": lambda: torch.autograd.gradcheck(loss, weights),
        "gradcheck, fast": lambda: torch.autograd.gradcheck(loss, weights, fast_mode=True),
    }


def _of_tensorflow(case: Case) -> dict[str, Work]:
    import tensorflow as tf

    loss, trained = as_tensorflow(case)
    weights = [*trained.values()]
    return {"compute_gradient": lambda: tf.test.compute_gradient(loss, weights)}


#: backend -> what else checks the gradients of a chain.
OTHERS: Mapping[str, Callable[[Case], dict[str, Work]]] = {
    "torch": _of_torch,
    "tensorflow": _of_tensorflow,
}


def measure(backend: str, width: int, rounds: int) -> dict[str, Any]:
    """Seconds of each checker, the median of so many rounds, and how many times the suite's."""
    taken: dict[str, list[float]] = {}
    judge(chain(backend, DEPTH, width, "float64", 0), backend)  # first calls
    for number in range(1, 1 + rounds):
        case = chain(backend, DEPTH, width, "float64", number)
        masked = chain(backend, DEPTH, width, "float64", number, MASKS)
        work: dict[str, Work] = {
            ONE: lambda case=case: judge(case, backend),  # type: ignore[misc]
            ONE_OF_EIGHT: lambda case=masked: judge(case, backend),  # type: ignore[misc]
            **OTHERS[backend](case),
        }
        for name in sorted(work, reverse=number % 2 == 0):
            share = MASKS if name == ONE_OF_EIGHT else 1
            taken.setdefault(name, []).append(seconds(work[name]) / share)
    return {
        "backend": backend,
        "parameters": parameters_of(DEPTH, width),
        "rounds": rounds,
        "seconds": {name: statistics.median(each) for name, each in taken.items()},
        "times the suite": {
            ours: {
                name: statistics.median(a / b for a, b in zip(each, taken[ours], strict=True))
                for name, each in taken.items()
                if name not in (ONE, ONE_OF_EIGHT)
            }
            for ours in (ONE, ONE_OF_EIGHT)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--backend", action="append", default=[], choices=[*OTHERS])
    arguments = parser.parse_args()
    for backend in arguments.backend or OTHERS:
        for width in WIDTHS:
            print(measure(backend, width, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
