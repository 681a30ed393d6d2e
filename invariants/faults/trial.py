"""Tries whether the suite finds a fault: how soon, by which property, how small it shrinks."""

from __future__ import annotations

import time
from dataclasses import dataclass

from invariants.faults.fault import Fault
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.profiles import PROFILES


@dataclass(frozen=True)
class Trial:
    """The outcome of one fault; without a property it was not found.

    examples and seconds: until the first violation, shrinking left out.
    layers and width: of the shrunk case, width the largest extent of its weights.
    """

    fault: Fault
    property_: str = ""
    examples: int = 0
    seconds: float = 0.0
    layers: int = 0
    width: int = 0


def attempt(fault: Fault, seed: int, profile: str = "ci", shrink_seconds: float = 20.0) -> Trial:
    """Verifies under `fault` until the first violation, for as many cases as the profile has."""
    chosen = PROFILES[profile]
    left, number, examples = chosen.examples[fault.backend], 0, 0
    started = time.monotonic()
    with fault.apply():
        while left > 0:
            size = min(left, chosen.batch[fault.backend])
            plan = Plan(
                fault.backend, seed * 1_000_003 + number, size, shrink_seconds, stop_at_first=True
            )
            hunt = Hunt(plan, set())
            hunt.run()
            if hunt.smallest:
                name, verdict = next(iter(hunt.smallest.items()))
                case = verdict.evidence.case
                return Trial(
                    fault,
                    name,
                    examples + hunt.examples_to_find[name],
                    time.monotonic() - started - hunt.shrunk_for,
                    len(case.architecture.layers),
                    max(max(array.shape, default=1) for array in case.weights.values()),
                )
            examples += hunt.tally.cases
            left -= size
            number += 1
    return Trial(fault, examples=examples, seconds=time.monotonic() - started)
