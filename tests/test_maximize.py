"""An optimizer that maximizes goes the other way from the same gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import LAYERS, point_of, torch_case

from invariants.case import CaseError, Realisation
from invariants.judge import gather, judge
from invariants.optimizer import ASGD, LBFGS, SGD, Adam, NAdam, RMSprop, Rprop
from invariants.program import Freeze, Step

PROGRAM = (Freeze("dense_4"), Step(0), Step(0))
FROZEN = "dense_4.kernel"


@pytest.mark.parametrize("loop", ["for-loop", "foreach"])
@pytest.mark.parametrize(
    "optimizer",
    [SGD(momentum=0.5, nesterov=True), Adam(weight_decay=0.1), NAdam(), RMSprop(), Rprop(), ASGD()],
    ids=lambda optimizer: optimizer.kind,
)
def test_the_rule_is_applied_to_the_negated_gradient(optimizer: Any, loop: str) -> None:
    case = torch_case(LAYERS, PROGRAM, optimizer=optimizer, maximize=True)
    realisation = replace(case.realisations["torch"], options={"optimizer_loop": loop})
    case = replace(case, realisations={"torch": realisation}).check()
    verdict = judge(case, "torch")
    assert not verdict.violations
    start, end = (point_of(verdict.evidence.observation, n) for n in (-1, 1))
    assert np.array_equal(start.weights[FROZEN], end.weights[FROZEN])


def test_plain_descent_climbs() -> None:
    evidence = gather(torch_case(LAYERS, PROGRAM, optimizer=SGD(), maximize=True), "torch")
    start, end = (point_of(evidence.observation, n) for n in (-1, 1))
    name = "dense_5.kernel"
    assert np.allclose(end.weights[name] - start.weights[name], 0.125 * end.gradients[name])


def test_what_has_no_such_argument_is_refused() -> None:
    with pytest.raises(CaseError, match="maximize: torch has no lbfgs that maximizes"):
        torch_case(LAYERS, PROGRAM, optimizer=LBFGS(), maximize=True).check()
    case = torch_case(LAYERS, (Step(0),), optimizer=SGD(), maximize=True)
    with pytest.raises(CaseError, match="maximize: tensorflow has no sgd that maximizes"):
        replace(case, realisations={"tensorflow": Realisation("tape", (None,), {})}).check()
