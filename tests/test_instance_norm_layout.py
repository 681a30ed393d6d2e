"""torch's instance norm and the layout of a gradient: what the known issue leaves unjudged."""

from __future__ import annotations

import numpy as np
from forging import at, gradient_of, torch_case

from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.grouping import InstanceNorm
from invariants.architecture.layers.recurrent import SimpleRNN
from invariants.architecture.layers.shaping import Flatten, Reshape
from invariants.case import Case
from invariants.judge import gather, judge
from invariants.ledger import applying, label
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.interpreter import expect
from invariants.program import Freeze, Gradient
from invariants.properties import findings

ISSUE = "torch-instance-norm-gradient-layout"
AS_IF = CONTRACTS["torch"].as_if({"instance_norm_gradient": "unknown_before_steps_first"})

IMAGES: tuple[AnyLayer, ...] = (Dense(units=16), Reshape(shape=(2, 2, 4)), InstanceNorm())
RECURRENT: tuple[AnyLayer, ...] = (Reshape(shape=(4, 4)), SimpleRNN(units=2, biases="none"))


def case_of(*layers: AnyLayer) -> Case:
    """A gradient with the norm trainable and one with it frozen."""
    program = (Gradient(0), Freeze("instance_norm_2"), Gradient(0))
    return torch_case((*layers, Dense(units=1)), program)


def known(point: ExpectedPoint) -> set[str]:
    return {name for name, e in point.gradients.items() if np.isfinite(e.spread).all()}


def test_the_layers_before_a_recurrent_one_are_told() -> None:
    behind = case_of(*IMAGES, *RECURRENT).architecture.before_steps_first
    assert behind == {"dense_0", "reshape_1", "instance_norm_2", "reshape_3", "input_0"}
    assert not case_of(*IMAGES, Flatten()).architecture.before_steps_first


def test_as_if_leaves_what_lies_behind_the_norm_judged() -> None:
    point = expect(case_of(*IMAGES, *RECURRENT), "torch", AS_IF).points[0]
    unjudged = {"dense_0.kernel", "dense_0.bias", "instance_norm_2.gamma", "instance_norm_2.beta"}
    assert set(point.gradients) - known(point) == unjudged


def test_as_if_changes_nothing_where_no_such_layer_follows() -> None:
    point = expect(case_of(*IMAGES, Flatten()), "torch", AS_IF).points[0]
    assert known(point) == set(point.gradients)


def test_the_gradient_before_a_recurrent_layer_is_wrong_and_known() -> None:
    verdict = judge(case_of(*IMAGES, *RECURRENT), "torch")
    assert not verdict.violations
    assert {f.issue for f in verdict.findings} == {ISSUE}
    assert "dense_0.kernel" in {f.subject for f in verdict.findings}


def test_an_error_behind_the_norm_is_not_explained_by_it() -> None:
    evidence = gather(case_of(*IMAGES, *RECURRENT), "torch")
    kernel = gradient_of(evidence, 0, "dense_5.kernel")
    spoilt = at(evidence, 0, "gradients", "dense_5.kernel", kernel * 2)
    labelled = label(findings(spoilt), spoilt, applying("torch"))
    assert "dense_5.kernel" in {f.subject for f in labelled if f.severity == "violation"}
