"""The result of a gate: a verdict, and everything that it rests on, as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from invariants.case import Case
from invariants.gate.comparison import Change, ChangedPoint, Kind
from invariants.gate.distances import Distances
from invariants.gate.judging import Judged
from invariants.gate.matrix import Cell
from invariants.gate.recording import Head
from invariants.gate.showing import Shown
from invariants.gate.waivers import Used
from invariants.suite.tally import reached

#: Of the document.
SCHEMA = 2

#: What a gate does, one after another; one that was interrupted says in which part.
Part = Literal["making environments", "running", "judging", "reducing"]


@dataclass(frozen=True)
class Offer:
    """What one side lacks and the other has, in the words of the side that lacks it."""

    backend: str
    what: str
    lacking: str  # the name of the side
    cases: int


@dataclass(frozen=True)
class Counts:
    """How much was judged on one backend: cases, gradients and elements on either side.

    modes: how many cases each mode had. reach: how many met a kind of layer in a place, as
    "kind:place".
    """

    cases: int
    modes: Mapping[str, int]
    reach: Mapping[str, int]
    gradients: tuple[int, int]
    elements: tuple[int, int]
    died: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """What a gate has found.

    errors: how far either side is from what is expected; drifts: from one another.
    folders: the kind of a change -> where its smallest case is. shown: a case of each change.
    interrupted: the part that did not come to its end, "" where all did.
    """

    baseline: Head
    candidate: Head
    seed: int | None
    counts: Mapping[str, Counts]
    changes: Sequence[Change]
    points: Sequence[ChangedPoint]
    drifts: Sequence[Distances]
    offers: Sequence[Offer]
    matrix: Sequence[Cell] = ()
    errors: Sequence[Distances] = ()
    waivers: Sequence[Used] = ()
    folders: Mapping[Kind, Path] = field(default_factory=dict)
    shown: Mapping[Kind, Shown] = field(default_factory=dict)
    interrupted: Part | Literal[""] = ""

    @property
    def verdict(self) -> str:
        """Whether the candidate may go in; nobody knows before all was judged."""
        if self.interrupted not in ("", "reducing"):
            return "undecided"
        return "worse" if any(change.worse for change in self.changes) else "no worse"

    def document(self) -> dict[str, Any]:
        """As plain JSON types: the same for the same input."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "interrupted": self.interrupted,
            "baseline": asdict(self.baseline),
            "candidate": asdict(self.candidate),
            "seed": self.seed,
            "counts": {backend: asdict(counts) for backend, counts in self.counts.items()},
            "matrix": [_named(asdict(cell)) for cell in self.matrix],
            "changes": [self._change(change) for change in self.changes],
            "points": [asdict(point) for point in self.points],
            "drift": [drift.document() for drift in self.drifts],
            "errors": [error.document() for error in self.errors],
            "offers": [asdict(offer) for offer in self.offers],
            "waivers": [
                {**asdict(waiver), "kind": _named(asdict(waiver.kind))} for waiver in self.waivers
            ],
        }

    def _change(self, change: Change) -> dict[str, Any]:
        folder, shown = self.folders.get(change.kind), self.shown.get(change.kind)
        return {
            **asdict(change),
            "kind": _named(asdict(change.kind)),
            "folder": None if folder is None else folder.as_posix(),
            "shown": None if shown is None else shown.document(),
        }


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as a document names them: `property` is taken in Python."""
    return {name.removesuffix("_"): value for name, value in fields.items()}


def counted(pairs: Iterable[tuple[Judged, Judged]]) -> dict[str, Counts]:
    """How much was judged, by backend."""
    sides: dict[str, list[tuple[Judged, Judged]]] = {}
    for pair in pairs:
        sides.setdefault(pair[0].entry.backend, []).append(pair)
    return {
        backend: Counts(
            len(found),
            dict(sorted(Counter(a.mode for a, _ in found).items())),
            _reach(backend, [a.entry.case for a, _ in found]),
            (sum(a.gradients for a, _ in found), sum(b.gradients for _, b in found)),
            (sum(a.elements for a, _ in found), sum(b.elements for _, b in found)),
            (sum(bool(a.died) for a, _ in found), sum(bool(b.died) for _, b in found)),
        )
        for backend, found in sides.items()
    }


def _reach(backend: str, cases: Iterable[Case]) -> dict[str, int]:
    """How many cases met a kind of layer in a place."""
    reach = Counter(met for case in cases for met in reached(case, backend))
    return dict(sorted(reach.items()))


def offers(pairs: Iterable[tuple[Judged, Judged]]) -> list[Offer]:
    """What is offered on one side alone."""
    found: Counter[tuple[str, str, str]] = Counter()
    for before, after in pairs:
        mine, theirs = {*before.lacking}, {*after.lacking}
        if bool(mine) != bool(theirs):
            side = "baseline" if mine else "candidate"
            found.update((before.entry.backend, what, side) for what in mine | theirs)
    return [Offer(*key, count) for key, count in sorted(found.items())]
