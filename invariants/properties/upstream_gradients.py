"""The gradient of every trainable parameter is the chain rule's, through every frozen layer.

So is that of the input, where the case asks for it. The rounding model decides: an element agrees
when |framework - expected| <= λσ.
"""

from __future__ import annotations

from collections.abc import Iterator

from invariants.finding import Finding
from invariants.oracle.rounding import LAMBDA
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    for expected, observed in evidence.pairs:
        for name, estimate in expected.gradients.items():
            if name in expected.zeros:  # no_gradient_for_frozen's
                continue
            gradient = observed.gradients.get(name)
            if gradient is None or gradient.shape != estimate.value.shape:
                yield Finding(
                    property_="upstream_gradients",
                    backend=evidence.backend,
                    action=expected.action,
                    subject=name,
                    message=f"{name} is trainable and got no gradient",
                    relation="present",
                    field="gradients",
                    expected=f"a gradient of shape {list(estimate.value.shape)}",
                    got="none" if gradient is None else f"shape {list(gradient.shape)}",
                )
                continue
            if gradient.dtype.name != expected.dtype:
                yield Finding(
                    property_="upstream_gradients",
                    backend=evidence.backend,
                    action=expected.action,
                    subject=name,
                    message=f"the gradient of {name} has another dtype than {name}",
                    relation="dtype",
                    field="gradients",
                    expected=expected.dtype,
                    got=gradient.dtype.name,
                )
            found = evidence.deviations.get((expected.action, name))
            if found is None:  # behind an action that left other weights than expected
                continue
            if found.spreads.max(initial=0.0) <= LAMBDA:
                continue
            at = found.worst
            yield Finding(
                property_="upstream_gradients",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"the gradient of {name} is not the chain rule's",
                relation="within",
                field="gradients",
                element=at,
                expected=float(estimate.value[at]),
                got=float(gradient[at]),
                allowed=LAMBDA * float(estimate.spread[at]),
                spreads=float(found.spreads[at]),
            )
