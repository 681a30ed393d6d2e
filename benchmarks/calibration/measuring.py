"""What is measured: |error|/σ of every gradient element of judged cases, by family of layers.

A family is a module of `invariants/architecture/layers/`: that of the layer which a parameter
belongs to, and those of the layers without parameters which its gradient came through. The
gradients of the inputs are a family of their own. Counted are cases without a finding: a known
issue is an error of the framework, not of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.drawing import drawn
from invariants.architecture.graph import Placed
from invariants.case import Case
from invariants.judge import Verdict, judge
from invariants.oracle.rounding import LAMBDA

Array = np.ndarray

#: The family of the gradients that the batches get.
INPUTS = "inputs"

#: Elements further than this from the oracle, in spreads, are told with their cases.
FAR = LAMBDA / 2

QUANTILES = (0.5, 0.99, 0.9999)


@dataclass(frozen=True)
class Gradient:
    """One gradient of one case, beside its chain rule.

    spreads: |error|/σ of the elements that have a spread smaller than their value by λ.
    beyond: |error|/σ of the furthest element of all, where that is more than λ/2, otherwise 0.
    """

    name: str
    families: frozenset[str]
    action: int
    spreads: Array
    elements: int
    without_freedom: int
    uninformative: int
    beyond: float


@dataclass(frozen=True)
class Judged:
    """One case on one backend: its gradients, none where there was a finding.

    found: severity and name of what was found, of a violation that of the property.
    """

    case: Case
    found: frozenset[tuple[str, str]]
    gradients: tuple[Gradient, ...]


@dataclass(frozen=True)
class Distribution:
    """What was seen of a number of gradients."""

    spreads: Array
    elements: int
    without_freedom: int
    uninformative: int

    @property
    def largest(self) -> float:
        return float(self.spreads.max(initial=0.0))

    def quantiles(self, wanted: Iterable[float]) -> tuple[float, ...]:
        """The quantiles of |error|/σ; NaN where no element has a spread to go by."""
        if not self.spreads.size:
            return tuple(float("nan") for _ in wanted)
        return tuple(float(q) for q in np.quantile(self.spreads, list(wanted)))


def family(placed: Placed) -> str:
    """That of a layer."""
    return type(placed.layer).__module__.rpartition(".")[2]


def families(case: Case) -> dict[str, frozenset[str]]:
    """Layer or input -> the families that its gradients, or those of its parameters, belong to."""
    held = {placed.path: {family(placed)} for placed in case.architecture.layers}
    held |= {f"input_{n}": {INPUTS} for n in range(len(case.architecture.inputs))}
    for placed in case.architecture.layers:
        if not placed.parameters:
            for above in case.architecture.upstream(placed.path):
                held[above].add(family(placed))
    return {path: frozenset(names) for path, names in held.items()}


def gradients(verdict: Verdict) -> Iterator[Gradient]:
    """The gradients of a verdict, element by element."""
    evidence = verdict.evidence
    held = families(evidence.case)
    expected = {point.action: point for point in evidence.expectation.points}
    for (action, name), found in evidence.deviations.items():
        spread = expected[action].gradients[name].spread
        furthest = float(found.spreads.max(initial=0.0))
        yield Gradient(
            name,
            held[name] if name in held else held[name.rpartition(".")[0]],
            action,
            found.spreads[(spread > 0.0) & found.informative].astype(np.float32),
            spread.size,
            int(np.count_nonzero(spread == 0.0)),
            int(np.count_nonzero(~found.informative)),
            furthest if furthest > FAR else 0.0,
        )


def measured(backend: str, count: int, seed: int) -> Iterator[Judged]:
    """`count` cases drawn from `seed` and judged on `backend`."""
    for case in drawn(backend, count, seed):
        verdict = judge(case, backend)
        found = frozenset(
            (finding.severity, name)
            for finding in verdict.findings
            for name in (finding.issue or finding.property_).split(" + ")
        )
        yield Judged(case, found, () if found else tuple(gradients(verdict)))


def distribution(held: Iterable[Gradient]) -> Distribution:
    """The distribution over all elements of some gradients."""
    seen = list(held)
    return Distribution(
        np.concatenate([np.empty(0, np.float32), *(g.spreads for g in seen)]),
        sum(g.elements for g in seen),
        sum(g.without_freedom for g in seen),
        sum(g.uninformative for g in seen),
    )
