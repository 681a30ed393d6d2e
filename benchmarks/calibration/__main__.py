"""The figures behind λ: how many spreads honest frameworks are away from the oracle.

    python -m benchmarks.calibration [--torch CASES] [--tensorflow CASES] [--seed N] [--plot DIR]

draws cases, judges them, and prints for each backend the distribution of |error|/σ over the
gradient elements that have a spread, by dtype and by family of layers, in cases without a finding
(a known issue is an error of the framework, not of the model); the share of the elements that are
uninformative; what was found, with the number of its cases; and the elements without a finding that
are more than λ/2 spreads away.
--plot DIR: writes DIR/calibration-BACKEND.svg too (needs the extra `bench`).
--far DIR: writes the cases of those elements, and those that violate a property, to
DIR/BACKEND-NUMBER.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.calibration.measuring import FAR, Judged, measured
from benchmarks.calibration.tables import beyond, by_dtype, by_family, met
from invariants.oracle.rounding import LAMBDA


def told(backend: str, held: Sequence[Judged]) -> None:
    """Prints the tables of one backend."""
    print(*by_dtype(backend, held), sep="\n", end="\n\n")
    print(*by_family(held), sep="\n", end="\n\n")
    print("Found:", *met(held), sep="\n", end="\n\n")
    far = list(beyond(held))
    print(f"Elements above {FAR:g}: {len(far) or 'none'}", *far, sep="\n", end="\n\n", flush=True)


def keep_far(backend: str, held: Sequence[Judged], folder: Path) -> None:
    """Writes the cases that violate a property or have an element more than λ/2 spreads away."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, judged in enumerate(held):
        violated = any(severity == "violation" for severity, _ in judged.found)
        if violated or any(g.beyond for g in judged.gradients):
            (folder / f"{backend}-{number}.json").write_text(judged.case.to_json())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--torch", type=int, default=2000, metavar="CASES")
    parser.add_argument("--tensorflow", type=int, default=400, metavar="CASES")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="DIR")
    parser.add_argument("--far", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    print(f"|error|/σ, λ = {LAMBDA:g}, seed {arguments.seed}\n")
    for backend in ("torch", "tensorflow"):
        held = list(measured(backend, getattr(arguments, backend), arguments.seed))
        if not held:
            continue
        told(backend, held)
        if arguments.far:
            keep_far(backend, held, arguments.far)
        if arguments.plot:
            from benchmarks.calibration import plot  # of the optional extra

            arguments.plot.mkdir(parents=True, exist_ok=True)
            plot.draw(backend, held, arguments.plot / f"calibration-{backend}.svg")


if __name__ == "__main__":
    main()
