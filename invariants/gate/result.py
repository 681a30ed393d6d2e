"""The result of a gate: a verdict, and everything that it rests on, as it stands in its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, computed_field

from invariants.case import Case
from invariants.document import Document
from invariants.gate.change import Change, ChangedPoint
from invariants.gate.distances import Distances
from invariants.gate.judging import Judged
from invariants.gate.matrix import Cell
from invariants.gate.recording import Head
from invariants.gate.waivers import Used
from invariants.suite.tally import reached

#: What a gate does, one after another; one that was interrupted says in which part.
Part = Literal["making environments", "running", "judging", "reducing"]


@dataclass(frozen=True)
class Offer(Document):
    """What one side lacks and the other has, in the words of the side that lacks it."""

    backend: str
    what: str
    lacking: str  # the name of the side
    cases: int


@dataclass(frozen=True)
class Counts(Document):
    """How much was judged on one backend: cases, gradients and elements on either side.

    modes: how many cases each mode had. reach: how many met a kind of layer in a place, as
    "kind:place". died: how many ended their process.
    """

    cases: int
    modes: Mapping[str, int]
    reach: Mapping[str, int]
    gradients: tuple[int, int]
    elements: tuple[int, int]
    died: tuple[int, int]


@dataclass(frozen=True)
class Ran(Document):
    """How many of the `cases` of a corpus have run on either side."""

    cases: int
    baseline: int
    candidate: int


@dataclass(frozen=True)
class Result(Document):
    """What a gate has found.

    drift: how far the sides are from one another; errors: either from what is expected.
    interrupted: the part that did not come to its end, "" where all did; ran: how far it was then,
    None where no case had run yet or all were judged. schema_: of its file.
    """

    baseline: Head
    candidate: Head
    seed: int | None
    counts: Mapping[str, Counts]
    matrix: tuple[Cell, ...]
    changes: tuple[Change, ...]
    points: tuple[ChangedPoint, ...]
    drift: tuple[Distances, ...]
    errors: tuple[Distances, ...]
    offers: tuple[Offer, ...]
    waivers: tuple[Used, ...]
    interrupted: Part | Literal[""]
    ran: Ran | None = None
    seconds: float = 0.0
    schema_: Annotated[Literal[2], Field(alias="schema")] = 2

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Literal["worse", "no worse", "undecided"]:
        """Whether the candidate may go in; nobody knows before all was judged, nor of no case."""
        if self.interrupted not in ("", "reducing") or not self.counts:
            return "undecided"
        return "worse" if self.worse else "no worse"

    @property
    def worse(self) -> tuple[Change, ...]:
        """What keeps the candidate out."""
        return tuple(change for change in self.changes if change.worse)


def unjudged(baseline: Head, candidate: Head, part: Part, ran: Ran | None = None) -> Result:
    """The result of a gate that was interrupted before there was anything to judge."""
    return Result(baseline, candidate, None, {}, (), (), (), (), (), (), (), part, ran)


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
