"""The same script twice gives the same bits.

On a device where an operation of the case is documented as not deterministic, the two agree within
the spread, wherever it is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from invariants.finding import Finding
from invariants.observation import Array, ObservedPoint, same_bits
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.rounding import LAMBDA, Estimate, deviation
from invariants.properties.evidence import Evidence

#: What is compared beside the loss.
_FIELDS = ("weights", "gradients", "averages")


def judge(evidence: Evidence) -> Iterator[Finding]:
    if evidence.repeat is None:
        return
    again = {point.action: point for point in evidence.repeat.points}
    comparable = {expected.action: expected for expected, _ in evidence.comparable}
    for point in evidence.observation.points:
        twin = again.get(point.action)
        for field, name in _differences(point, twin):
            told: dict[str, Any] = {"expected": "the same bits", "got": "other bits"}
            if twin is not None and not evidence.ordered:
                expected = comparable.get(point.action)
                told = _apart(expected, point, twin, field, name) if expected else {}
            if not told:
                continue
            yield Finding(
                property_="deterministic",
                backend=evidence.backend,
                action=point.action,
                subject=name,
                message=f"{field} of {name or 'the batch'} differ between two runs of one script",
                relation="repeats",
                field=field,
                **told,
            )


def _apart(
    expected: ExpectedPoint, a: ObservedPoint, b: ObservedPoint, field: str, name: str
) -> dict[str, Any]:
    """What a finding says of two arrays that do not agree within the spread.

    Nothing where they do, or where nothing says how near they should be.
    """
    if field == "loss":
        estimate, mine, theirs = expected.loss, a.loss, b.loss
    else:
        held: Mapping[str, Estimate] = getattr(expected, field)
        estimate = held.get(name) or expected.state.get(name)
        mine, theirs = getattr(a, field).get(name), getattr(b, field).get(name)
    if mine is None or theirs is None or mine.shape != theirs.shape:
        return {"expected": "an array of the same shape", "got": "another, or none"}
    if estimate is None or estimate.spread.shape != mine.shape:
        return {}
    found = deviation(theirs, Estimate(mine.astype(np.float64), estimate.spread))
    if found.spreads.max(initial=0.0) <= LAMBDA:
        return {}
    at = found.worst
    return {
        "element": at,
        "expected": float(mine[at]),
        "got": float(theirs[at]),
        "allowed": LAMBDA * float(estimate.spread[at]),
        "spreads": float(found.spreads[at]),
    }


def _differences(a: ObservedPoint, b: ObservedPoint | None) -> Iterator[tuple[str, str]]:
    if b is None:
        yield "records", ""
        return
    if a.loss is not None and (b.loss is None or not same_bits(a.loss, b.loss)):
        yield "loss", ""
    for field in _FIELDS:
        mine: Mapping[str, Array | None] = getattr(a, field)
        theirs: Mapping[str, Array | None] = getattr(b, field)
        for name, array in mine.items():
            twin = theirs.get(name)
            if (array is None) != (twin is None) or (
                array is not None and twin is not None and not same_bits(array, twin)
            ):
                yield field, name
