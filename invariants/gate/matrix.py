"""In how many cases each property fails, by backend and mode, on either side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from invariants.document import Document
from invariants.gate.comparison import kinds
from invariants.gate.judging import Judged

#: Judged from two backends at once, which a gate does not do.
NOT_GATED = ("backends_agree",)


@dataclass(frozen=True)
class Cell(Document):
    """A property in one mode. baseline, candidate: severity -> how many cases show it.

    issues: the known issues and hazards among what they show.
    """

    backend: str
    mode: str
    property_: Annotated[str, Field(alias="property")]
    baseline: Mapping[str, int]
    candidate: Mapping[str, int]
    issues: tuple[str, ...]


def matrix(pairs: Iterable[tuple[Judged, Judged]]) -> list[Cell]:
    """The cells in which something shows, by backend, mode and property."""
    shown: dict[tuple[str, str, str], tuple[Counter[str], Counter[str]]] = {}
    issues: dict[tuple[str, str, str], set[str]] = {}
    for pair in pairs:
        for number, side in enumerate(pair):
            found = {(f.property_, f.severity) for f in side.findings}
            for property_, severity in found:
                key = (side.entry.backend, side.mode, property_)
                shown.setdefault(key, (Counter(), Counter()))[number][severity] += 1
            for finding in side.findings:
                key = (side.entry.backend, side.mode, finding.property_)
                named = {kind.issue for kind in kinds(finding)} - {""}
                issues.setdefault(key, set()).update(named)
    cells = []
    for key in sorted(shown):
        before, after = (dict(sorted(side.items())) for side in shown[key])
        cells.append(Cell(*key, before, after, tuple(sorted(issues[key]))))
    return cells
