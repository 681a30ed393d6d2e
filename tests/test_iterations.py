"""LBFGS makes several iterations a step, and evaluates the loss before each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from forging import point_of, torch_case

from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm, Dropout
from invariants.case import Case
from invariants.judge import gather
from invariants.optimizer import LBFGS, Clip
from invariants.program import Freeze, Step
from invariants.properties import findings

MEAN = "batch_norm_0.moving_mean"


def case(iterations: int, evaluations: int | None = None, **options: Any) -> Case:
    """A batch norm that sees the batch alone, and a frozen layer between trainable ones."""
    layers = (BatchNorm(), Dense(units=4), Dropout(rate=0.25), Dense(units=3), Dense(units=1))
    optimizer = LBFGS(learning_rate=0.03125, iterations=iterations, evaluations=evaluations)
    program = (Freeze("dense_3"), Step(0), Step(0))
    return torch_case(layers, program, **{"optimizer": optimizer, **options})


@pytest.mark.parametrize(
    ("iterations", "evaluations", "evaluated"),
    [(1, None, 1), (2, None, 2), (3, None, 3), (4, None, 4), (4, 2, 2), (3, 20, 3)],
)
def test_every_evaluation_is_a_pass_of_its_own(
    iterations: int, evaluations: int | None, evaluated: int
) -> None:
    """A moving mean of a batch that stays has gone so far towards the batch's own."""
    made = case(iterations, evaluations, input_gradient=True, clip=Clip(kind="norm", limit=2.0))
    evidence = gather(made, "torch")
    assert not findings(evidence)
    assert all(np.isfinite(d.spreads).all() for d in evidence.held.values())
    point = evidence.expectation.points[-1]
    assert all(
        np.isfinite(e.spread).all() for e in (*point.weights.values(), *point.gradients.values())
    )
    before, after = (point_of(evidence.observation, n).weights[MEAN] for n in (-1, 1))
    (x,) = made.batches[0].inputs
    share = (after - before) / (x.mean(0) - before)
    update = float(made.architecture.layers[0].layer.update)
    assert np.allclose(share, 1.0 - (1.0 - update) ** evaluated)


def test_a_step_that_may_have_ended_leaves_nothing_known() -> None:
    """In float16 such a small rate changes a loss by what it is rounded by, or not at all."""
    optimizer = LBFGS(learning_rate=2.0**-16, iterations=3)
    evidence = gather(case(1, optimizer=optimizer, dtype="float16"), "torch")
    assert not findings(evidence)
    point = evidence.expectation.points[0]
    unknown = [*point.weights.values(), *point.gradients.values(), *point.state.values()]
    assert unknown
    assert all(np.isinf(estimate.spread).all() for estimate in unknown)
