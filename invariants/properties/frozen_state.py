"""States (the running averages of a batch norm) do what the contract says.

In training mode they follow the batch; in inference mode, and under a freeze that the contract says
means inference, they keep their bits.
"""

from __future__ import annotations

from collections.abc import Iterator

from invariants.finding import Finding
from invariants.oracle.expectation import moves
from invariants.oracle.rounding import LAMBDA
from invariants.properties.evidence import Evidence, kept
from invariants.properties.frozen_weights import how_it_differs


def judge(evidence: Evidence) -> Iterator[Finding]:
    yield from _kept(evidence)
    for expected, observed in evidence.comparable:
        for name, estimate in expected.state.items():
            state = observed.weights[name]
            found = evidence.held[expected.action, name]
            if found.spreads.max(initial=0.0) <= LAMBDA:
                continue
            at = found.worst
            yield Finding(
                property_="frozen_state",
                backend=evidence.backend,
                action=expected.action,
                subject=name,
                message=f"{name} is not what the contract's update makes of the batches so far",
                relation="within",
                field="weights",
                element=at,
                expected=float(estimate.value[at]),
                got=float(state[at]),
                allowed=LAMBDA * float(estimate.spread[at]),
                spreads=float(found.spreads[at]),
            )


def _kept(evidence: Evidence) -> Iterator[Finding]:
    """A layer that no forward pass since the last point ran in training mode kept its state."""
    architecture = evidence.case.architecture
    states = [n for n, p in architecture.parameters.items() if p.role == "state"]
    stateful = list(dict.fromkeys(name.rpartition(".")[0] for name in states))
    for before, after in evidence.consecutive():
        passes = [
            point
            for point in evidence.expectation.points
            if before.action < point.action <= after.action
        ]
        for name in states if passes else ():
            place = stateful.index(name.rpartition(".")[0])
            if any(moves(point.forward[place]) for point in passes):
                continue
            old, new, through = before.weights[name], after.weights[name], passes[-1].cast
            if not kept(old, through, new):
                yield Finding(
                    property_="frozen_state",
                    backend=evidence.backend,
                    action=after.action,
                    subject=name,
                    message=f"{name} moved although its layer ran in inference mode",
                    field="weights",
                    **how_it_differs(old, through, new, before.action),
                )
