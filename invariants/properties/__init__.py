"""The invariants: each a pure function from evidence to findings, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from invariants.finding import Finding
from invariants.properties import (
    backends_agree,
    deterministic,
    freezing_is_transparent,
    frozen_state,
    frozen_weights,
    no_gradient_for_frozen,
    program_runs,
    trainability_survives,
    trainable_weights_move,
    training_trajectory,
    upstream_gradients,
)
from invariants.properties.evidence import Evidence

#: name -> judge; in the order in which a reader wants to hear of them.
PROPERTIES: dict[str, Callable[[Evidence], Iterator[Finding]]] = {
    "program_runs": program_runs.judge,
    "frozen_weights": frozen_weights.judge,
    "upstream_gradients": upstream_gradients.judge,
    "no_gradient_for_frozen": no_gradient_for_frozen.judge,
    "trainable_weights_move": trainable_weights_move.judge,
    "training_trajectory": training_trajectory.judge,
    "freezing_is_transparent": freezing_is_transparent.judge,
    "frozen_state": frozen_state.judge,
    "trainability_survives": trainability_survives.judge,
    "backends_agree": backends_agree.judge,
    "deterministic": deterministic.judge,
}


def findings(evidence: Evidence) -> list[Finding]:
    """Everything that does not hold: by property, by action, and by weight, each time the same."""
    places = {name: place for place, name in enumerate(evidence.case.architecture.weights)}

    def place(finding: Finding) -> tuple[int, int, str]:
        return finding.action, places.get(finding.subject, len(places)), finding.subject

    return [found for judge in PROPERTIES.values() for found in sorted(judge(evidence), key=place)]
