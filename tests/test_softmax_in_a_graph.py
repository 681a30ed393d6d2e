"""Keras clips probabilities, but for those that it sees a softmax or a sigmoid make: in a graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import torch_case

from invariants.architecture.layers.dense import Dense
from invariants.case import Batch, Case, Realisation, frozen
from invariants.judge import judge
from invariants.objective import Term
from invariants.oracle.interpreter import expect
from invariants.program import Step

TARGETS = {
    "likelihood": np.array([0, 1, 0, 1]),
    "dense_likelihood": np.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5], [0.0, 1.0]]),
    "binary_likelihood": np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]),
}


def saturated(loss: str, mode: str) -> Case:
    """A dense layer whose first class has a probability of 1 but for 1e-13."""
    made = torch_case((Dense(units=2),), (Step(0),), dtype="float32")
    (batch,) = made.batches
    return replace(
        made,
        objective=(Term(loss=loss),),
        weights={**made.weights, "dense_0.bias": frozen(np.array([30.0, 0.0]))},
        batches=(Batch(batch.inputs, (frozen(TARGETS[loss]),), (None,)),),
        realisations={"tensorflow": Realisation(mode, (None,), {})},
    ).check()


@pytest.mark.parametrize("loss", sorted(TARGETS))
@pytest.mark.parametrize(
    ("mode", "passes"), [("tape", False), ("function", True), ("forward_mode", True)]
)
def test_a_saturated_softmax_passes_a_gradient_in_a_graph_alone(
    loss: str, mode: str, passes: bool
) -> None:
    case = saturated(loss, mode)
    (point,) = expect(case, "tensorflow").points
    assert bool(point.gradients["dense_0.bias"].value[0]) == passes
    assert not judge(case, "tensorflow").findings
