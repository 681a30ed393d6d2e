"""How exact the elementwise functions of torch and TensorFlow are, against mpmath.

    python -m benchmarks.functions [PRIMITIVE ...]

prints, for each elementwise primitive of the oracle that a framework has as one function and for
its derivatives, the ulps that are needed to cover the largest error that was measured, and what
`invariants/oracle/primitives.py` states; then, for each that is not covered, where.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.functions.exact import FUNCTIONS
from benchmarks.functions.kernels import BACKENDS, DTYPES
from benchmarks.functions.measuring import Worst, measure, stated

COLUMNS = [(backend, dtype) for backend in BACKENDS for dtype in DTYPES]


def rows(name: str) -> tuple[list[str], list[str]]:
    """The rows of one primitive, and a line for each measurement that its row does not cover."""
    found = {column: measure(name, *column) for column in COLUMNS}
    lines, uncovered = [], []
    labels = [name, f"{name}'"] if FUNCTIONS[name].derivatives else [name]
    for label in labels:
        states = stated(name, label != name)
        cells = []
        for column in COLUMNS:
            worst: Worst | None = found[column].get(label)
            cells.append("" if worst is None else f"{worst.ulps:.2f}")
            if worst is not None and not worst.ulps <= states:
                uncovered.append(f"{label}, {' '.join(column)}: {worst.ulps:.3f} at {worst.at}")
        lines.append("| " + " | ".join([label, *cells, f"{states:g}"]) + " |")
    return lines, uncovered


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("primitives", nargs="*", metavar="PRIMITIVE", default=[])
    chosen = parser.parse_args(arguments).primitives or list(FUNCTIONS)
    print("| primitive | " + " | ".join(" ".join(column) for column in COLUMNS) + " | stated |")
    print("|" + " --- |" * (len(COLUMNS) + 2))
    missing: list[str] = []
    for name in chosen:
        lines, uncovered = rows(name)
        print("\n".join(lines), flush=True)
        missing += uncovered
    print("\nNot covered:", *(missing or ["nothing"]), sep="\n")


if __name__ == "__main__":
    main()
