"""What is not frozen moves: nothing is frozen by accident.

Judged at each element where the reference optimizer's update exceeds λσ by more than an ulp of the
weight, so that no honest rounding can swallow it. What a forward pass rewrites as well
may end where it began; what it becomes is judged by training_trajectory. What was thawed and a
mode does not train yet, or an optimizer never, as documented, is a hazard.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from invariants.finding import Finding
from invariants.hazards import UNHELD, Hazard, of_old_flags
from invariants.observation import ObservedPoint, same_bits
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.rounding import LAMBDA, PRECISIONS
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    expected_at = {expected.action: expected for expected, _ in evidence.comparable}
    for before, after in evidence.consecutive():
        expected = expected_at.get(after.action)
        if expected is None:
            continue
        yield from _by_old_flags(evidence, expected, before, after)
        yield from _without_an_optimizer(evidence, expected, before, after)
        ulp = 2.0 * PRECISIONS[expected.dtype].unit_roundoff
        rewritten = evidence.rewritten_between(before.action, after.action)
        for name, update in expected.updates.items():
            left = evidence.left_between(before.action, after.action, name)
            if name in rewritten and left is None:
                continue
            old, new = before.weights[name], after.weights[name]
            certain = np.abs(update.value) - LAMBDA * update.spread > ulp * np.abs(old)
            stuck = certain & (old == new) & (left if left is not None else True)
            if not stuck.any():
                continue
            at = tuple(int(i) for i in np.argwhere(stuck)[0])
            yield Finding(
                property_="trainable_weights_move",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"{name} is trainable and did not move",
                relation="moved",
                field="weights",
                element=at,
                expected=float(old[at] + update.value[at]),
                got=float(new[at]),
                earlier=before.action,
            )


def _by_old_flags(
    evidence: Evidence, expected: ExpectedPoint, before: ObservedPoint, after: ObservedPoint
) -> Iterator[Finding]:
    """The trainable weights that a step leaves where they are by flags of an earlier time."""
    if evidence.case.program[after.action].action != "step" or expected.attributes is None:
        return
    hazard = of_old_flags(evidence.mode.trains_itself)
    thawed = {*expected.attributes.acting.trainable} & expected.flags.frozen
    for name in sorted(thawed & evidence.case.reached):
        if same_bits(before.weights[name], after.weights[name]):
            yield _hazard(evidence, before, after, name, "not trained yet", hazard)


def _without_an_optimizer(
    evidence: Evidence, expected: ExpectedPoint, before: ObservedPoint, after: ObservedPoint
) -> Iterator[Finding]:
    """The weights that were thawed, and that a step leaves since its optimizer has not got them."""
    if evidence.case.program[after.action].action != "step" or expected.skipped:
        return
    for name in sorted(expected.unheld):
        if same_bits(before.weights[name], after.weights[name]):
            yield _hazard(evidence, before, after, name, "in no optimizer", UNHELD)


def _hazard(
    evidence: Evidence,
    before: ObservedPoint,
    after: ObservedPoint,
    name: str,
    state: str,
    hazard: Hazard,
) -> Finding:
    """A weight that was thawed and stays as it was, for it is in some state."""
    return Finding(
        property_="trainable_weights_move",
        backend=evidence.backend,
        action=after.action,
        subject=name,
        message=f"{name} was thawed and is {state}: {hazard.instead}",
        relation="moved",
        field="weights",
        expected="a step",
        got="the same bits",
        earlier=before.action,
        severity="hazard",
        issue=hazard.id,
    )
