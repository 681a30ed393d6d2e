"""Interpolation, which TensorFlow does in float32 whatever the dtype of the model."""

from __future__ import annotations

import numpy as np
import pytest
from forging import chain

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.resizing import UpSampling2D
from invariants.architecture.layers.shaping import Flatten
from invariants.backends import installed
from invariants.case import Batch, Case, Realisation, frozen
from invariants.judge import judge
from invariants.objective import Term
from invariants.optimizer import SGD
from invariants.program import Step

pytestmark = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def interpolating(rate: float) -> Case:
    """Two steps in float64 of a dense layer before what is interpolated."""
    layers = (Dense(units=2), UpSampling2D(interpolation="bilinear"), Flatten(), Dense(units=1))
    architecture = Architecture((Spec((2, 1, 2)),), chain(*layers))
    rng = np.random.default_rng(5)

    def drawn(*shape: int) -> np.ndarray:
        return frozen(rng.integers(1, 64, size=shape) / 64.0)

    return Case(
        architecture=architecture,
        weights={name: drawn(*p.shape) for name, p in architecture.parameters.items()},
        batches=(Batch((drawn(2, 2, 1, 2),), (drawn(2, 1),), (None,)),),
        program=(Step(0), Step(0)),
        optimizer=SGD(learning_rate=rate),
        objective=(Term(),),
        dtype="float64",
        realisations={"tensorflow": Realisation("tape", (None, None), {})},
        training=True,
        input_gradient=False,
        seed=0,
    ).check()


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
