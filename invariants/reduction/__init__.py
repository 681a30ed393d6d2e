"""Makes a case smaller while it still shows what it shows: what a reader wants to look at.

Hypothesis shrinks the choices that a case was drawn from; here the case itself is taken apart, as a
person would do it: shorter programs, parts of the network, narrower layers, one sample. A smaller
case needs nothing from the generator, so a case from a file can be reduced too, and so can one
whose verdict comes from another process (delta debugging, Zeller & Hildebrandt 2002).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from invariants.architecture.layers.base import ShapeError
from invariants.case import Case, CaseError, from_json
from invariants.reduction.edits import EDITS


def reduced(case: Case, shows: Callable[[Case], bool], seconds: float) -> Case:
    """The smallest case found within `seconds` for which `shows` still holds.

    `shows(case)` must hold for `case` itself; it is asked for candidates that are checked already.
    """
    deadline = time.monotonic() + seconds
    improved = True
    while improved:
        improved = False
        for edit in EDITS:
            smaller = _by(edit, case, shows, deadline)
            improved |= smaller is not case
            case = smaller
            if time.monotonic() > deadline:
                return case
    return case


def _by(
    edit: Callable[[Case], Iterator[Case]],
    case: Case,
    shows: Callable[[Case], bool],
    deadline: float,
) -> Case:
    """`case` after as many edits of one kind as still show it.

    After one that does, the edits of the new case are tried from the same position on: those before
    it did not show it and hardly will now.
    """
    position = 0
    while True:
        for number, candidate in enumerate(edit(case)):
            if number < position:
                continue
            if time.monotonic() > deadline:
                return case
            valid = _valid(candidate)
            if valid is not None and shows(valid):
                case, position = valid, number
                break
        else:
            return case


def _valid(candidate: Case) -> Case | None:
    """The candidate as a file of it would be read, or None where it would not."""
    try:
        return from_json(candidate.to_json())
    except (CaseError, ShapeError):
        return None
