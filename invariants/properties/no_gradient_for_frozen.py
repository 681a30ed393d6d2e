"""What is frozen has no gradient and gets no optimizer slot.

What the objective does not depend on has no gradient either, trainable as it is.
A slot that was there before the freeze may stay; while the weight is frozen it keeps its bits, but
for a sum of gradients, which an update empties. What
no loss reaches gets a slot only where the contract makes those of all weights at once, and what was
frozen since where the optimizer was made with it. Where a program sets gradients to zeros instead
of None, what had one has zeros, and its slots go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from invariants.case import numpy_dtype
from invariants.finding import Finding
from invariants.observation import Array, ObservedPoint, same_bits
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.rounding import LAMBDA, Deviation
from invariants.program import Learning
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    # Ahead slots of all weights are made, at the start.
    made_ahead = evidence.options.get("optimizer_build") == "ahead"
    loaded = None if made_ahead else next(iter(evidence.observation.points), None)
    previous: ObservedPoint | None = loaded
    contract = evidence.contract
    with_the_optimizer = evidence.case.optimizer.kind in contract["slots_made_with_the_optimizer"]
    shared = evidence.case.optimizer.kind in contract["slots_of_all_weights"]
    at_once = with_the_optimizer or contract["slots_made"] == "for_all_at_once"
    optimizer = 0
    for expected, observed in evidence.pairs:
        if expected.optimizer != optimizer:
            optimizer, previous = expected.optimizer, loaded
        if expected.rounds_scalars and previous is not None:
            previous = _rounded(previous, expected.dtype)
        if not isinstance(evidence.case.program[expected.action], Learning):
            continue
        # What a step had moved when it raised, no point in between shows.
        since = -1 if previous is None else previous.action
        halfway = {
            name
            for step in evidence.steps_between(since, expected.action)
            if step.stops_midway
            for name in step.moving
        }
        for name in dict.fromkeys((*evidence.case.architecture.weights, *sorted(expected.idle))):
            frozen = name in expected.flags.frozen
            why = "is frozen" if frozen else "is reached by no loss"
            if not frozen and name not in expected.idle:
                continue
            common: dict[str, Any] = {
                "property_": "no_gradient_for_frozen",
                "backend": evidence.backend,
                "action": expected.action,
                "subject": name,
            }
            gradient = observed.gradients.get(name)
            if name in expected.zeros:
                yield from _zeros(
                    common, gradient, evidence.deviations.get((expected.action, name))
                )
            elif gradient is not None:
                yield Finding(
                    **common,
                    message=f"{name} {why} and got a gradient",
                    relation="absent",
                    field="gradients",
                    expected="none",
                    got=f"a gradient, largest element {float(np.abs(gradient).max(initial=0.0))!r}",
                )
            judged = not shared and name not in expected.stale and name not in halfway
            if previous is not None and judged:
                new_ones = at_once and (not frozen or name in (expected.held or ()))
                yield from _slots(common, why, previous, observed, may_be_new=new_ones)
        previous = observed


def _rounded(point: ObservedPoint, dtype: str) -> ObservedPoint:
    """The point with the numbers beside its slots rounded to the dtype of the weights."""
    slots = {
        name: {
            slot: array if array.ndim or slot == "step" else array.astype(numpy_dtype(dtype))
            for slot, array in held.items()
        }
        for name, held in point.slots.items()
    }
    return replace(point, slots=slots)


def _same(old: Array, new: Array) -> bool:
    """Whether a slot is what it was: to the bit, one number in any format."""
    return same_bits(old, new) or (not old.ndim and bool(old == new))


def _zeros(
    common: dict[str, Any], gradient: Array | None, found: Deviation | None
) -> Iterator[Finding]:
    """Where a gradient of zeros is something else."""
    if gradient is None or found is None or found.spreads.max(initial=0.0) <= LAMBDA:
        return
    yield Finding(
        **common,
        message=f"{common['subject']} is frozen and its gradient is not one of zeros",
        relation="within",
        field="gradients",
        element=found.worst,
        expected=0.0,
        got=float(gradient[found.worst]),
        allowed=0.0,
    )


def _slots(
    common: dict[str, Any],
    why: str,
    before: ObservedPoint,
    after: ObservedPoint,
    may_be_new: bool,
) -> Iterator[Finding]:
    name, sums = common["subject"], CONTRACTS[common["backend"]]["accumulator"]
    old, new = before.slots.get(name, {}), after.slots.get(name, {})
    for slot, array in new.items():
        if slot not in old and not may_be_new:
            yield Finding(
                **common,
                message=f"{name} {why} and got the optimizer slot {slot!r}",
                relation="absent",
                field="slots",
                expected="no slot",
                got=slot,
                earlier=before.action,
            )
        elif slot in old and not _same(old[slot], array) and not (slot == sums and not array.any()):
            yield Finding(
                **common,
                message=f"{name} {why} and its optimizer slot {slot!r} moved",
                relation="same_bits",
                field="slots",
                expected=slot,
                got="other bits",
                earlier=before.action,
            )
