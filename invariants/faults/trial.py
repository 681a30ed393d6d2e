"""Tries whether the suite finds a fault: how soon, by which property, how small it shrinks."""

from __future__ import annotations

import time
from dataclasses import dataclass

from invariants.faults.fault import Fault
from invariants.judge import judge
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.profiles import PROFILES


@dataclass(frozen=True)
class Trial:
    """The outcome of one fault; without a property it was not found.

    examples and seconds: until the first violation, reducing left out.
    layers and width: of the reduced case, width the largest extent of its weights.
    false_alarm: the reduced case violates the property in the sound framework, too.
    """

    fault: Fault
    property_: str = ""
    examples: int = 0
    seconds: float = 0.0
    layers: int = 0
    width: int = 0
    false_alarm: bool = False


def attempt(fault: Fault, seed: int, profile: str = "ci", reduce_seconds: float = 20.0) -> Trial:
    """Verifies under `fault` until the first violation, for as many cases as the profile has.

    A fault that cases seldom show is tried on cases that are drawn with what it takes.
    """
    chosen = PROFILES[profile]
    left, number, examples = chosen.examples[fault.backend], 0, 0
    started = time.monotonic()
    while left > 0:
        size = min(left, chosen.batch[fault.backend])
        plan = Plan(
            fault.backend,
            seed * 1_000_003 + number,
            size,
            reduce_seconds,
            stop_at_first=True,
            wanted=fault.wanted,
        )
        hunt = Hunt(plan, set())
        with fault.apply():
            hunt.run()
        if hunt.smallest:
            name, verdict = next(iter(hunt.smallest.items()))
            case = verdict.evidence.case
            sound = judge(case, fault.backend)
            return Trial(
                fault,
                name,
                examples + hunt.examples_to_find[name],
                time.monotonic() - started - hunt.reduced_for,
                len(case.architecture.layers),
                max(max(array.shape, default=1) for array in case.weights.values()),
                any(finding.property_ == name for finding in sound.violations),
            )
        examples += hunt.tally.cases
        left -= size
        number += 1
    return Trial(fault, examples=examples, seconds=time.monotonic() - started)
