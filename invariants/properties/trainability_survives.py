"""The flags say what has been frozen and thawed, whatever else happens in between.

Saving and loading, copying, a change of mode or dtype, evaluating and training keep them; where the
contract says that a way of loading leaves no flags, everything is trainable after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from invariants.finding import Finding
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    for expected, observed in evidence.pairs:
        for name, trainable in observed.flags.items():
            wanted = name not in (expected.attributes or expected.flags).frozen
            if trainable == wanted:
                continue
            word = "trainable" if wanted else "frozen"
            other = "frozen" if wanted else "trainable"
            yield Finding(
                property_="trainability_survives",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"{name} is {word} and its flag says {other}",
                relation="flag",
                field="flags",
                expected=str(wanted),
                got=str(trainable),
            )
