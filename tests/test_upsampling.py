"""Interpolation, which TensorFlow does in float32 whatever the dtype of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import torch_case

from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.resizing import UpSampling2D
from invariants.architecture.layers.shaping import Flatten
from invariants.backends import installed
from invariants.case import Case, Realisation
from invariants.judge import judge
from invariants.optimizer import SGD
from invariants.program import Step

pytestmark = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def interpolating(rate: float) -> Case:
    """Two steps in float64 of a dense layer before what is interpolated."""
    layers = (Dense(units=2), UpSampling2D(interpolation="bilinear"), Flatten(), Dense(units=1))
    program, optimizer = (Step(0), Step(0)), SGD(learning_rate=rate)
    case = torch_case(layers, program, inputs=(2, 1, 2), optimizer=optimizer)
    tape = Realisation("tape", (None, None), {})
    return replace(case, realisations={"tensorflow": tape}).check()


def test_what_float32_cannot_hold_is_not_judged_behind_a_step() -> None:
    verdict = judge(interpolating(2.0**140), "tensorflow")
    gradients = verdict.evidence.observation.points[-1].gradients
    assert np.isnan(gradients["dense_3.kernel"]).all()
    assert verdict.findings == ()


def test_what_float32_holds_is_judged() -> None:
    case = interpolating(0.125)
    assert judge(case, "tensorflow").findings == ()
    _, point = judge(case, "tensorflow").evidence.expectation.points
    assert all(np.isfinite(estimate.spread).all() for estimate in point.gradients.values())
