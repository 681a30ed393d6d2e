"""Trained weights follow the reference optimizer, step by step, and averages follow the weights.

Judged where the gradient of the step is the chain rule's (a wrong one is upstream_gradients'), or
cannot be seen, and something moved (standing still is trainable_weights_move's).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from invariants.finding import Finding
from invariants.oracle.rounding import LAMBDA, deviation
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    yield from _weights(evidence)
    yield from _averages(evidence)
    yield from _constant_averages(evidence)


def _weights(evidence: Evidence) -> Iterator[Finding]:
    expected_at = {expected.action: expected for expected, _ in evidence.comparable}
    for before, after in evidence.consecutive():
        expected = expected_at.get(after.action)
        if expected is None or not expected.updates:
            continue
        for name, estimate in expected.weights.items():
            if name in expected.zeros:  # frozen_weights'
                continue
            weight = after.weights[name]
            gradient = evidence.deviations.get((expected.action, name))
            seen = gradient is not None and gradient.spreads.max(initial=0.0) <= LAMBDA
            if not seen and not expected.blind:
                continue
            held = evidence.held.get((expected.action, name))
            if held is None:
                continue
            frozen = expected.masked.get(name, False)  # frozen_weights'
            spreads = np.where((before.weights[name] == weight) | frozen, 0.0, held.spreads)
            if spreads.max(initial=0.0) <= LAMBDA:
                continue
            at = tuple(int(i) for i in np.unravel_index(spreads.argmax(), spreads.shape))
            yield Finding(
                property_="training_trajectory",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"{name} is not where the documented update takes it",
                relation="within",
                field="weights",
                element=at,
                expected=float(estimate.value[at]),
                got=float(weight[at]),
                allowed=LAMBDA * float(estimate.spread[at]),
                spreads=float(spreads[at]),
            )


def _averages(evidence: Evidence) -> Iterator[Finding]:
    """The averages of weights and states that are where they should be."""
    for expected, observed in evidence.comparable:
        if expected.action == evidence.departure:
            return
        for name, estimate in expected.averages.items():
            average = observed.averages.get(name)
            common: dict[str, Any] = {
                "property_": "training_trajectory",
                "backend": evidence.backend,
                "action": expected.action,
                "subject": name,
                "field": "averages",
            }
            if average is None or average.shape != estimate.value.shape:
                yield Finding(
                    **common,
                    message=f"{name} has no average",
                    relation="present",
                    expected="an average",
                    got="none" if average is None else f"shape {list(average.shape)}",
                )
                continue
            found = deviation(average, estimate)
            if found.spreads.max(initial=0.0) <= LAMBDA:
                continue
            at = found.worst
            yield Finding(
                **common,
                message=f"the average of {name} is not what the documented rule makes of it",
                relation="within",
                element=at,
                expected=float(estimate.value[at]),
                got=float(average[at]),
                allowed=LAMBDA * float(estimate.spread[at]),
                spreads=float(found.spreads[at]),
            )


def _constant_averages(evidence: Evidence) -> Iterator[Finding]:
    """Where the contract says so, the average of what equals it and stays has the same bits.

    Unless an evaluation of the averages themselves rewrites it.
    """
    if evidence.contract["average_of_a_constant"] != "kept":
        return
    points = [observed for _, observed in evidence.comparable if observed.averages]
    for before, after in itertools.pairwise(points):
        rewritten = evidence.averages_rewritten_between(before.action, after.action)
        for name, average in after.averages.items():
            if name in rewritten:
                continue
            arrays = before.averages[name], before.weights[name], after.weights[name]
            stays = np.logical_and.reduce([array == arrays[0] for array in arrays])
            moved = stays & np.isfinite(arrays[0]) & (average != arrays[0])
            if moved.any():
                at = tuple(int(i) for i in np.argwhere(moved)[0])
                yield Finding(
                    property_="training_trajectory",
                    backend=evidence.backend,
                    action=after.action,
                    subject=name,
                    message=f"{name} has stayed what its average is, and the average has moved",
                    relation="within",
                    field="averages",
                    element=at,
                    expected=float(arrays[0][at]),
                    got=float(average[at]),
                    allowed=0.0,
                )
