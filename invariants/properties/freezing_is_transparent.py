"""Two gradients at the same weights, state and batch agree to the bit, whatever is frozen.

Judged wherever both exist and the contract leaves the forward pass as it was. It needs no oracle,
so it also judges layers that are random: their random state is the same at both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from invariants.finding import Finding
from invariants.observation import ObservedPoint, same_bits
from invariants.properties.evidence import Evidence
from invariants.properties.frozen_weights import first_difference


def judge(evidence: Evidence) -> Iterator[Finding]:
    first: dict[tuple[Any, ...], ObservedPoint] = {}
    for expected, observed in evidence.pairs:
        batch = getattr(evidence.case.program[expected.action], "batch", None)
        key = (expected.weights_version, expected.forward, batch)
        reference = first.setdefault(key, observed)
        if reference is observed:
            continue
        for name, gradient in observed.gradients.items():
            before = reference.gradients.get(name)
            if gradient is None or before is None or same_bits(before, gradient):
                continue
            at = first_difference(before, gradient)
            yield Finding(
                property_="freezing_is_transparent",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"the gradient of {name} depends on what else is frozen",
                relation="same_bits",
                field="gradients",
                element=at,
                expected=float(before[at]),
                got=float(gradient[at]),
                earlier=reference.action,
            )
