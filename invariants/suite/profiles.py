"""How much a run does: cases a backend, cases a batch, and how long it may reduce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from invariants.oracle.contract import Mode


@dataclass(frozen=True)
class Profile:
    """One profile.

    examples: cases for each backend in quick modes. batch: cases drawn by one Hypothesis run; long
    runs go in batches, since one run holds on to memory. reduce_seconds: for each property found
    violated. of_a_mode: (seconds, cases): for each mode that is not quick so many cases, if one
    takes up to so many seconds; the first that fits. of_a_quick_mode: for each of the others, of
    those that all have together, where a mode might have too few; Hypothesis starts with the
    simplest case. of_an_issue: for each backend, after so many cases at most a known issue that
    others seldom meet is given up.
    """

    examples: Mapping[str, int]
    batch: Mapping[str, int]
    reduce_seconds: float
    of_a_mode: tuple[tuple[float, int], ...]
    of_a_quick_mode: int = 0
    of_an_issue: Mapping[str, int] = field(default_factory=dict)

    def share(self, mode: Mode) -> int:
        """How many cases a mode has by itself: a quick one of those that all quick modes share."""
        if mode.quick:
            return self.of_a_quick_mode
        return next((count for seconds, count in self.of_a_mode if mode.seconds <= seconds), 0)


PROFILES = {
    "quick": Profile(
        examples={"torch": 400, "tensorflow": 80},
        batch={"torch": 100, "tensorflow": 20},
        reduce_seconds=15.0,
        of_a_mode=(),
        of_a_quick_mode=2,
    ),
    "ci": Profile(
        examples={"torch": 3000, "tensorflow": 240},
        batch={"torch": 200, "tensorflow": 40},
        reduce_seconds=30.0,
        of_a_mode=((10.0, 10), (60.0, 3)),
        of_a_quick_mode=10,
        of_an_issue={"torch": 250, "tensorflow": 30},
    ),
    "soak": Profile(
        examples={"torch": 20000, "tensorflow": 5000},
        batch={"torch": 200, "tensorflow": 40},
        reduce_seconds=120.0,
        of_a_mode=((5.0, 60), (60.0, 10)),
        of_an_issue={"torch": 400, "tensorflow": 100},
    ),
}
