"""How much a run does: cases a backend, cases a batch, and how long it may reduce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One profile.

    examples: cases for each backend. batch: cases drawn by one Hypothesis run; long runs go in
    batches, since one run holds on to memory. reduce_seconds: for each property found violated.
    """

    name: str
    examples: Mapping[str, int]
    batch: Mapping[str, int]
    reduce_seconds: float


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", {"torch": 400, "tensorflow": 80}, {"torch": 100, "tensorflow": 20}, 15.0),
        Profile("ci", {"torch": 4000, "tensorflow": 2400}, {"torch": 200, "tensorflow": 40}, 30.0),
        Profile(
            "soak", {"torch": 20000, "tensorflow": 2000}, {"torch": 200, "tensorflow": 40}, 120.0
        ),
    )
}
