"""Two gradients at the same weights, state and batch agree to the bit, whatever is frozen.

Where the contract names a layer whose kernels depend on flags, a mode that computes all gradients
as a whole, or a device of which no more is known, they agree within the spread, and where the loss
is scaled by another factor; so does that of a weight whose uses are added up in an order that
depends on what else is there.

Judged wherever both exist, no mask makes an element 0, and the contract leaves the forward pass as
it was. It needs no oracle, so it also judges layers that are random: their random state is the same
at both. What has been clipped depends on the other gradients and is not compared. A gradient that
is added to zeros has no -0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from invariants.finding import Finding
from invariants.observation import Array, ObservedPoint, same_bits
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.rounding import LAMBDA, Estimate, deviation
from invariants.program import Learning, Step
from invariants.properties.evidence import Evidence
from invariants.properties.frozen_weights import first_difference


def judge(evidence: Evidence) -> Iterator[Finding]:
    first: dict[tuple[Any, ...], tuple[ObservedPoint, ExpectedPoint]] = {}
    clipping = evidence.contract["clipping"]
    added = evidence.options.get("zero_grad") == "zeros"
    in_place = evidence.case.clip is not None and clipping == "in_place"
    within_spread = (
        evidence.mode.optimised
        or not evidence.device.same_kernels
        or _kernels_depend_on_flags(evidence)
        or _rescaled(evidence)
    )
    reordered = _added_in_any_order(evidence)
    for expected, observed in evidence.pairs:
        action = evidence.case.program[expected.action]
        if not isinstance(action, Learning) or (in_place and isinstance(action, Step)):
            continue
        batches = (action.batch, *(action.more if isinstance(action, Step) else ()))
        key = (expected.weights_version, expected.forward, batches)
        reference, then = first.setdefault(key, (observed, expected))
        if reference is observed:
            continue
        for name, gradient in observed.gradients.items():
            before = reference.gradients.get(name)
            if gradient is None or before is None or name in then.zeros | expected.zeros:
                continue
            for masked in (then.masked.get(name), expected.masked.get(name)):
                if masked is not None and masked.shape == gradient.shape == before.shape:
                    gradient = np.where(masked, before, gradient)
            if added:
                before, gradient = before + 0, gradient + 0
            if same_bits(before, gradient):
                continue
            estimate = expected.gradients.get(name)
            if estimate is not None and _not_known(estimate, before, gradient):
                continue
            if (within_spread or name in reordered) and before.shape == gradient.shape:
                if estimate is None:
                    continue
                reach = Estimate(before.astype(np.float64), estimate.spread)
                if deviation(gradient, reach).spreads.max(initial=0.0) <= LAMBDA:
                    continue
            difference = first_difference(before, gradient)
            rule = ""
            if estimate is not None and difference["element"] is not None:
                rule = f"; the chain rule gives {float(estimate.value[difference['element']])!r}"
            yield Finding(
                property_="freezing_is_transparent",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"the gradient of {name} depends on what else is frozen{rule}",
                relation="same_bits",
                field="gradients",
                earlier=reference.action,
                **difference,
            )


def _not_known(estimate: Estimate, before: Array, after: Array) -> bool:
    """Whether the two differ by NaN alone, where the expectation says nothing."""
    if before.shape != after.shape or estimate.spread.shape != after.shape:
        return False
    a, b = before.astype(np.float64), after.astype(np.float64)
    return bool((np.isinf(estimate.spread) | (a == b)).all() and np.isnan(a + b).any())


def _rescaled(evidence: Evidence) -> bool:
    """Whether a loss is scaled, and may have been by another factor since gradients overflowed."""
    gradients = (g for point in evidence.observation.points for g in point.gradients.values())
    return "scale" in evidence.mode.traits and any(
        g is not None and not np.isfinite(g).all() for g in gradients
    )


def _added_in_any_order(evidence: Evidence) -> frozenset[str]:
    """The weights whose gradient is a sum of three terms or more, where the contract has no order.

    Of two the sum is the same either way. A penalty of both kinds reads its weight twice.
    """
    if evidence.contract["order_of_uses"] == "kept":
        return frozenset()
    penalties = evidence.case.penalties
    return frozenset(
        name
        for placed in evidence.case.architecture.layers
        for name in (f"{placed.path}.{parameter.name}" for parameter in placed.parameters)
        if placed.calls + (len(penalties[name].kind.split("_")) if name in penalties else 0) > 2
    )


def _kernels_depend_on_flags(evidence: Evidence) -> bool:
    """Whether the case has a layer that the contract names so, by kind and rank of its input."""
    named = evidence.contract["kernels_depend_on_flags"]
    return any(
        (placed.layer.kind, placed.specs[0].rank) in named
        for placed in evidence.case.architecture.layers
    )
