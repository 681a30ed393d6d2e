"""Every figure that a page quotes, measured side by side in one run.

    python -m benchmarks [--only NAME ...] [--rounds N] [--out DIR]

writes DIR/benchmarks.json and DIR/benchmarks.md (default: docs). Each figure is a ratio, or beside
one, of processor seconds on this machine, and a median of at least five rounds. Parts that are left
out with --only keep the figures of the run before.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cost, gradients, growth, sensitivity
from invariants.backends.runner import prepare

Row = Mapping[str, Any]

#: Cases of a round of `cost`, by backend.
CASES = {"torch": 60, "tensorflow": 16}


def _sensitivity(rounds: int) -> Iterator[Row]:
    for backend in sensitivity.CHECKERS:
        for dtype in sensitivity.DTYPES:
            for depth in sensitivity.DEPTHS:
                yield sensitivity.measure(backend, depth, dtype, sensitivity.TRIALS)


def _gradients(rounds: int) -> Iterator[Row]:
    for backend in gradients.OTHERS:
        for width in gradients.WIDTHS:
            yield gradients.measure(backend, width, rounds)


def _growth(rounds: int) -> Iterator[Row]:
    for backend in CASES:
        for what in growth.SERIES:
            yield growth.measure(backend, what, rounds)
    yield growth.workers(rounds)


def _cost(rounds: int) -> Iterator[Row]:
    for backend, count in CASES.items():
        yield cost.measure(backend, "", count, rounds)


#: name -> what is measured, and its rows, given how many rounds.
PARTS: dict[str, tuple[str, Callable[[int], Iterator[Row]]]] = {
    "sensitivity": (
        "The smallest relative fault ε in one element of one gradient that is noticed",
        _sensitivity,
    ),
    "gradients": ("What a verified gradient costs beside a numerical one", _gradients),
    "growth": ("How the cost of verifying grows", _growth),
    "cost": ("What verifying costs beside the bare scripts", _cost),
}


def _flat(row: Row, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}: ")
        else:
            yield prefix + str(name), value


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    if value is None:
        return "never"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2g}" if value < 0.01 else f"{value:.3g}"


def plain(value: Any) -> Any:
    """`value` as JSON has it, where an infinity is null."""
    if isinstance(value, Mapping):
        return {str(name): plain(held) for name, held in value.items()}
    if isinstance(value, list):
        return [plain(held) for held in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown: one table for all rows with the same columns."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        flat = dict(_flat(row))
        alike.setdefault(tuple(flat), []).append(flat)
    for columns, held in alike.items():
        yield f"| {' | '.join(columns)} |"
        yield f"| {' | '.join('---' for _ in columns)} |"
        for flat in held:
            yield f"| {' | '.join(_told(flat[column]) for column in columns)} |"
        yield ""


def page(result: Mapping[str, Any]) -> str:
    """The Markdown page of a result."""
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    lines = ["# Benchmarks", "", f"`python -m benchmarks`, measured with {machine}.", ""]
    for name, (title, _) in PARTS.items():
        if name in result["parts"]:
            lines += [f"## {title}", "", *tables(result["parts"][name])]
    return "\n".join(lines).rstrip() + "\n"


def machine() -> dict[str, str]:
    """What a run was made with."""
    named = ("torch", "tensorflow", "keras", "numpy")
    return {
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in named},
    }


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], choices=[*PARTS])
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("docs"), metavar="DIR")
    given = parser.parse_args(None if arguments is None else [*arguments])
    kept = given.out / "benchmarks.json"
    parts = json.loads(kept.read_text())["parts"] if given.only and kept.is_file() else {}
    for backend in CASES:
        prepare(backend)  # as the suite runs it: one thread, and the kernels that it asks for
    for name in given.only or PARTS:
        parts[name] = []
        for row in PARTS[name][1](given.rounds):
            parts[name].append(plain(row))
            print(name, json.dumps(parts[name][-1]), file=sys.stderr, flush=True)
    result = {"machine": machine(), "parts": parts}
    given.out.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(result, indent=1) + "\n")
    (given.out / "benchmarks.md").write_text(page(result))


if __name__ == "__main__":
    main()
