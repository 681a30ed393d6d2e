"""How far the numbers of two sides are apart where neither is wrong, in spreads.

Counted are the gradients and the weights that were judged on both sides, by the family of their
layer and by the mode: how many have the same bits, and how far the worst element of each of the
others is from its twin. Both are within λ spreads of what is expected, so they are within 2λ of one
another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from invariants.architecture.layers import LAYERS
from invariants.case import Case
from invariants.gate.distances import Distances, Sample
from invariants.judge import Verdict
from invariants.observation import Array, same_bits, same_draws
from invariants.oracle.rounding import Estimate, deviation
from invariants.properties.evidence import Evidence


def family(kind: str) -> str:
    """The family of a kind of layer, named like the file that it stands in."""
    return LAYERS[kind].__module__.rpartition(".")[2]


def families(case: Case) -> Callable[[str], str]:
    """Tells the family of the layer of a weight; the inputs are a family of their own."""
    kinds = {placed.path: placed.layer.kind for placed in case.architecture.layers}

    def named(weight: str) -> str:
        path = weight.rpartition(".")[0]
        return family(kinds[path]) if path in kinds else "inputs"

    return named


@dataclass
class Drifts:
    """All of a gate, counted case by case."""

    found: dict[tuple[str, str, str], Sample] = field(default_factory=dict)

    def count(self, before: Verdict | None, after: Verdict | None) -> None:
        """Adds a case, if it was judged on both sides and nothing was found on either."""
        if before is None or after is None or before.findings or after.findings:
            return
        mine, theirs = before.evidence, after.evidence
        named = families(mine.case)
        for name, apart in _apart(mine, theirs):
            for by, what in (("layers", named(name)), ("mode", mine.mode.name)):
                key = (mine.backend, by, what)
                self.found.setdefault(key, Sample()).add(apart)

    def add(self, other: Drifts) -> None:
        """Adds what was counted of other cases."""
        for key, sample in other.found.items():
            self.found.setdefault(key, Sample()).join(sample)

    @property
    def rows(self) -> list[Distances]:
        """By backend, kind and name."""
        return [self.found[key].distances(*key) for key in sorted(self.found)]


def _apart(mine: Evidence, theirs: Evidence) -> Iterator[tuple[str, float | None]]:
    """Of each array that both have: its weight, and how far apart, None for the same bits.

    Not where the two releases document another value of it: that is no drift.
    """
    if not _same_draws(mine, theirs):
        return
    others = {point.action: point for point in theirs.expectation.points}
    for expected, before in mine.comparable:
        after, other = theirs.observation.at(expected.action), others.get(expected.action)
        if after is None or other is None:
            continue
        for name, estimate in expected.gradients.items():
            a, b = before.gradients.get(name), after.gradients.get(name)
            if a is not None and b is not None and _alike(estimate, other.gradients.get(name)):
                yield name, _spreads(a, b, estimate)
        for name, estimate in expected.weights.items():
            both = name in before.weights and name in after.weights
            if both and _alike(estimate, other.weights.get(name)):
                yield name, _spreads(before.weights[name], after.weights[name], estimate)


def _alike(mine: Estimate, theirs: Estimate | None) -> bool:
    """Whether the same value is expected, to the last bit."""
    return theirs is not None and np.array_equal(mine.value, theirs.value, equal_nan=True)


def _same_draws(mine: Evidence, theirs: Evidence) -> bool:
    """Whether random layers drew the same: other draws make other numbers."""
    a, b = mine.observation.draws, theirs.observation.draws
    if mine.case.stochastic and not (a and b):
        return False
    return same_draws(a, b)


def _spreads(a: Array, b: Array, estimate: Estimate) -> float | None:
    if same_bits(a, b):
        return None
    between = deviation(a, Estimate(b.astype(np.float64), estimate.spread))
    return float(between.spreads.max(initial=0.0))
