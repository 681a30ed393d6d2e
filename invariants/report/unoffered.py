"""Which options a framework lacks, as a section: the end of docs/layers.md is what this prints.

python -m invariants.report.unoffered
"""

from __future__ import annotations

from collections.abc import Iterator

from invariants.generate.unoffered import unoffered
from invariants.oracle.contract import CONTRACTS
from invariants.report.contracts import documented, table

HEADING = "## Options that a framework lacks"

_INTRODUCTION = """
What another framework has and this one has not is never drawn for it. The header of a run names it,
and `invariants replay` says it of a case that asks for it, and runs the case on the other backends.
Layers that a framework lacks altogether are in [contracts.md](contracts.md). Printed by
`python -m invariants.report.unoffered`.
"""


def _of(backend: str) -> Iterator[str]:
    clauses = CONTRACTS[backend].clauses
    yield f"### {backend}\n"
    yield from table(
        ["it has no", "in", "documented"],
        [
            [
                f"`{lack.option}`",
                ", ".join(f"`{kind}`" for kind in lack.kinds) or "programs",
                documented(clauses[lack.point]),
            ]
            for lack in unoffered(backend)
        ],
    )


def section() -> str:
    """The section, as Markdown."""
    lines = [HEADING, _INTRODUCTION]
    for backend in CONTRACTS:
        lines += _of(backend)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(section(), end="")
