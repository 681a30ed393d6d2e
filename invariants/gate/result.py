"""The result of a gate: a verdict, and everything that it rests on, as one document."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from invariants.gate.comparison import Change, ChangedPoint, Kind
from invariants.gate.drift import Drift
from invariants.gate.judging import Judged
from invariants.gate.recording import Head

#: Of the document.
SCHEMA = 1


@dataclass(frozen=True)
class Offer:
    """What one side lacks and the other has, in the words of the side that lacks it."""

    backend: str
    what: str
    lacking: str  # the name of the side
    cases: int


@dataclass(frozen=True)
class Counts:
    """How much was judged on one backend: cases, gradients and elements on either side."""

    cases: int
    gradients: tuple[int, int]
    elements: tuple[int, int]
    died: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """What a gate has found; folders: the kind of a change -> where its smallest case is."""

    baseline: Head
    candidate: Head
    seed: int | None
    counts: Mapping[str, Counts]
    changes: Sequence[Change]
    points: Sequence[ChangedPoint]
    drifts: Sequence[Drift]
    offers: Sequence[Offer]
    folders: Mapping[Kind, Path] = field(default_factory=dict)

    @property
    def worse(self) -> bool:
        """Whether the candidate must not go in."""
        return any(change.worse for change in self.changes)

    def document(self) -> dict[str, Any]:
        """As plain JSON types: the same for the same input."""
        return {
            "schema": SCHEMA,
            "verdict": "worse" if self.worse else "no worse",
            "baseline": asdict(self.baseline),
            "candidate": asdict(self.candidate),
            "seed": self.seed,
            "counts": {backend: asdict(counts) for backend, counts in self.counts.items()},
            "changes": [self._change(change) for change in self.changes],
            "points": [asdict(point) for point in self.points],
            "drift": [_drift(drift) for drift in self.drifts],
            "offered on one side": [asdict(offer) for offer in self.offers],
        }

    def _change(self, change: Change) -> dict[str, Any]:
        folder = self.folders.get(change.kind)
        fields = asdict(change)
        fields["kind"]["property"] = fields["kind"].pop("property_")
        return {**fields, "folder": None if folder is None else folder.as_posix()}


def _drift(drift: Drift) -> dict[str, Any]:
    """The sums of one row; JSON has no infinity."""
    numbers = {"median": drift.median, "largest": drift.largest}
    return {
        "backend": drift.backend,
        "by": drift.by,
        "name": drift.name,
        "arrays": drift.arrays,
        "same bits": drift.arrays - len(drift.apart),
        **{name: n if math.isfinite(n) else repr(n) for name, n in numbers.items()},
    }


def counted(pairs: Iterable[tuple[Judged, Judged]]) -> dict[str, Counts]:
    """How much was judged, by backend."""
    sides: dict[str, list[tuple[Judged, Judged]]] = {}
    for pair in pairs:
        sides.setdefault(pair[0].entry.backend, []).append(pair)
    return {
        backend: Counts(
            len(found),
            (sum(a.gradients for a, _ in found), sum(b.gradients for _, b in found)),
            (sum(a.elements for a, _ in found), sum(b.elements for _, b in found)),
            (sum(bool(a.died) for a, _ in found), sum(bool(b.died) for _, b in found)),
        )
        for backend, found in sides.items()
    }


def offers(pairs: Iterable[tuple[Judged, Judged]]) -> list[Offer]:
    """What is offered on one side alone."""
    found: Counter[tuple[str, str, str]] = Counter()
    for before, after in pairs:
        mine, theirs = {*before.lacking}, {*after.lacking}
        if bool(mine) != bool(theirs):
            side = "baseline" if mine else "candidate"
            found.update((before.entry.backend, what, side) for what in mine | theirs)
    return [Offer(*key, count) for key, count in sorted(found.items())]
