"""What is not frozen moves: nothing is frozen by accident.

Judged at each element where the reference optimizer's update exceeds λσ by more than an ulp of the
weight, so that no honest rounding can swallow it. Where a forward pass rewrites the weight as well,
it may end where it began; what it becomes is judged by training_trajectory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from invariants.finding import Finding
from invariants.oracle.rounding import LAMBDA, PRECISIONS
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    expected_at = {expected.action: expected for expected, _ in evidence.comparable}
    for before, after in evidence.consecutive():
        expected = expected_at.get(after.action)
        if expected is None or not expected.updates:
            continue
        ulp = 2.0 * PRECISIONS[expected.dtype].unit_roundoff
        rewritten = evidence.rewritten_between(before.action, after.action)
        for name, update in expected.updates.items():
            if name in rewritten:
                continue
            old, new = before.weights[name], after.weights[name]
            certain = np.abs(update.value) - LAMBDA * update.spread > ulp * np.abs(old)
            stuck = certain & (old == new)
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
