"""How far the gradients of each side are from the chain rule, in spreads, by family of layers.

All that were judged count, also where something was found: a family that went wrong stands out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from invariants.gate.distances import Distances, Sample
from invariants.gate.drift import families
from invariants.judge import Verdict


@dataclass
class Errors:
    """All of a gate, counted case by case; grouped by the name of the side."""

    found: dict[tuple[str, str, str], Sample] = field(default_factory=dict)

    def count(self, side: str, verdict: Verdict | None) -> None:
        """Adds a case of one side."""
        if verdict is None:
            return
        evidence = verdict.evidence
        named = families(evidence.case)
        for (_, weight), deviation in evidence.deviations.items():
            key = (evidence.backend, side, named(weight))
            worst = float(deviation.spreads.max(initial=0.0))
            self.found.setdefault(key, Sample()).add(worst or None)

    def add(self, other: Errors) -> None:
        """Adds what was counted of other cases."""
        for key, sample in other.found.items():
            self.found.setdefault(key, Sample()).join(sample)

    @property
    def rows(self) -> list[Distances]:
        """By backend, side and family."""
        return [self.found[key].distances(*key) for key in sorted(self.found)]
