"""A case that shows a kind of finding, with all that a report tells of it and the script."""

from __future__ import annotations

from collections.abc import Mapping

from invariants.gate.change import SIDES, Change, Shown
from invariants.gate.comparison import kinds
from invariants.gate.judging import Judged
from invariants.gate.recording import Head
from invariants.report.repro import script


def shown(
    change: Change, pairs: Mapping[str, tuple[Judged, Judged]], heads: tuple[Head, Head]
) -> Shown:
    """The smallest case of the corpus that shows a change, in the candidate where it does."""
    names = change.decisive or change.candidate or change.baseline
    number = int(names[0] in change.candidate)
    sides = [pairs[name][number] for name in names if name in _showing(change, number)]
    side = min(sides, key=_size)
    finding = next(f for f in side.findings if change.kind in kinds(f))
    installed = heads[number].packages[change.kind.backend]
    repro = script(side.entry.case, finding, installed)
    return Shown(SIDES[number], False, side.entry.case.document, finding, repro)


def _showing(change: Change, number: int) -> tuple[str, ...]:
    return change.candidate if number else change.baseline


def _size(side: Judged) -> tuple[int, int]:
    return len(side.entry.case.architecture.layers), len(side.entry.case.program)
