"""Two backends agree on one case wherever their contracts do.

Where the contracts agree, the two expectations are one computation with the same numbers; elsewhere
there is nothing to compare. The difference is judged by the larger of the two spreads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from invariants.finding import Finding
from invariants.oracle.rounding import LAMBDA, Estimate, deviation
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    other = evidence.other
    if other is None:
        return
    theirs = {expected.action: (expected, observed) for expected, observed in other.pairs}
    for expected, observed in evidence.pairs:
        if expected.action not in theirs:
            continue
        other_expected, other_observed = theirs[expected.action]
        for name, mine in expected.gradients.items():
            their = other_expected.gradients.get(name)
            a, b = observed.gradients.get(name), other_observed.gradients.get(name)
            if their is None or a is None or b is None:
                continue
            if not np.array_equal(mine.value, their.value):
                continue
            spread = np.maximum(mine.spread, their.spread)
            found = deviation(a, Estimate(b.astype(np.float64), spread))
            if found.spreads.max(initial=0.0) <= LAMBDA:
                continue
            at = found.worst
            yield Finding(
                property_="backends_agree",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"the gradient of {name} differs from {other.backend}'s",
                relation="within",
                field="gradients",
                element=at,
                expected=float(b[at]),
                got=float(a[at]),
                allowed=LAMBDA * float(spread[at]),
                spreads=float(found.spreads[at]),
            )
