"""What is frozen has no gradient, says so by its flag, and gets no optimizer slot.

What the objective does not depend on has no gradient either, trainable as it is.
A slot that was there before the freeze may stay; while the weight is frozen it keeps its bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from invariants.finding import Finding
from invariants.observation import ObservedPoint, same_bits
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    options = evidence.case.realisations[evidence.backend].options
    made_ahead = options.get("optimizer_build") == "ahead"  # slots of all weights, at the start
    loaded = None if made_ahead else next(iter(evidence.observation.points), None)
    previous: ObservedPoint | None = loaded
    for expected, observed in evidence.pairs:
        for name in dict.fromkeys((*evidence.case.architecture.weights, *sorted(expected.idle))):
            frozen = name in expected.flags.frozen
            if not frozen and name not in expected.idle:
                continue
            common: dict[str, Any] = {
                "property_": "no_gradient_for_frozen",
                "backend": evidence.backend,
                "action": expected.action,
                "subject": name,
            }
            gradient = observed.gradients.get(name)
            if gradient is not None:
                yield Finding(
                    **common,
                    message=f"{name} is {'frozen' if frozen else 'reached by no loss'} "
                    "and got a gradient",
                    relation="absent",
                    field="gradients",
                    expected="none",
                    got=f"a gradient, largest element {float(np.abs(gradient).max(initial=0.0))!r}",
                )
            if not frozen:
                continue
            if observed.flags.get(name):
                yield Finding(
                    **common,
                    message=f"{name} was frozen and its flag says trainable",
                    relation="flag",
                    field="flags",
                    expected="False",
                    got="True",
                )
            if previous is not None:
                yield from _slots(common, name, previous, observed)
        previous = observed


def _slots(
    common: dict[str, Any], name: str, before: ObservedPoint, after: ObservedPoint
) -> Iterator[Finding]:
    old, new = before.slots.get(name, {}), after.slots.get(name, {})
    for slot, array in new.items():
        if slot not in old:
            yield Finding(
                **common,
                message=f"{name} is frozen and got the optimizer slot {slot!r}",
                relation="absent",
                field="slots",
                expected="no slot",
                got=slot,
                earlier=before.action,
            )
        elif slot in old and not same_bits(old[slot], array):
            yield Finding(
                **common,
                message=f"{name} is frozen and its optimizer slot {slot!r} moved",
                relation="same_bits",
                field="slots",
                expected=slot,
                got="other bits",
                earlier=before.action,
            )
