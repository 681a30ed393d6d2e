"""A parameter that is frozen over a stretch of the program has the same bits after it.

Constants are never trained. A gradient alone moves nothing, trainable or not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from invariants.finding import Finding
from invariants.observation import Array, same_bits
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    parameters = evidence.case.architecture.parameters
    for before, after in evidence.consecutive():
        steps = list(evidence.steps_between(before.action, after.action))
        moving = {name for point in steps for name in point.flags.trainable}
        for name, parameter in parameters.items():
            if parameter.role == "state" or name in moving:
                continue
            old, new = before.weights[name], after.weights[name]
            if not same_bits(old, new):
                element = first_difference(old, new)
                yield Finding(
                    property_="frozen_weights",
                    backend=evidence.backend,
                    action=after.action,
                    subject=name,
                    message=f"{name} was frozen and has changed",
                    relation="same_bits",
                    field="weights",
                    element=element,
                    expected=float(old[element]),
                    got=float(new[element]),
                    earlier=before.action,
                )


def first_difference(a: Array, b: Array) -> tuple[int, ...]:
    """The index of the element that differs the most, or of the first whose bits do."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(a.astype(np.float64) - b.astype(np.float64))
    if np.nanmax(distance, initial=0.0) > 0.0:
        flat = int(np.nanargmax(distance))
    else:
        bits = np.frombuffer(a.tobytes(), np.uint8) != np.frombuffer(b.tobytes(), np.uint8)
        flat = int(np.argmax(bits)) // a.dtype.itemsize
    return tuple(int(i) for i in np.unravel_index(flat, a.shape))
