"""Penalties on kernels, biases and norms, which Keras takes where it makes a layer."""

from __future__ import annotations

import inspect
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from forging import at, torch_case

from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.grouping import RmsNorm
from invariants.architecture.layers.normalization import LayerNorm
from invariants.backends import BACKENDS, installed
from invariants.backends.tensorflow.regularizers import _ARGUMENTS
from invariants.case import Case, Realisation
from invariants.generate.choice import Drawn
from invariants.generate.objectives import draw_penalties
from invariants.judge import gather, judge
from invariants.objective import Penalty
from invariants.program import Freeze, Gradient, Reload, Step
from invariants.properties import findings

needs_keras = pytest.mark.skipif(not installed("tensorflow"), reason="TensorFlow is not installed")

PENALTIES = {
    "dense_0.bias": Penalty(kind="l1", factor=0.25),
    "layer_norm_1.gamma": Penalty(factor=0.25),
    "rms_norm_2.scale": Penalty(kind="l1_l2", factor=0.25),
    "dense_3.kernel": Penalty(factor=0.0625),
}


def penalised(*program: Any) -> Case:
    """In float32, where no factor is rounded."""
    layers = (Dense(units=4), LayerNorm(), RmsNorm(), Dense(units=1))
    return torch_case(layers, program, dtype="float32", penalties=PENALTIES)


def on_keras(*program: Any) -> Case:
    ways = {"freeze": "layer_trainable", "reload": "from_config"}
    taken = tuple(ways.get(action.action) for action in program)
    realisations = {"tensorflow": Realisation("tape", taken, {})}
    return replace(penalised(Step(0)), program=program, realisations=realisations).check()


def test_penalties_on_biases_and_norms_have_gradients_in_torch() -> None:
    verdict = judge(penalised(Gradient(0), Freeze("layer_norm_1"), Step(0)), "torch")
    assert verdict.findings == ()
    assert verdict.measures.gradients > 0


def test_a_layer_of_keras_is_made_with_its_regularizers_and_others_are_set_again() -> None:
    source = BACKENDS["tensorflow"].render(on_keras(Step(0), Reload(), Step(0)))
    assert "bias_regularizer=keras.regularizers.L1(0.25))" in source
    assert "gamma_regularizer=keras.regularizers.L2(0.25))" in source
    assert "kernel_regularizer=keras.regularizers.L2(0.0625))" in source
    assert source.count(".regularizer = ") == 2  # that of the scale, and once more behind a reload
    assert source.count(".scale.regularizer = keras.regularizers.L1L2(0.25, 0.0625)") == 2


@needs_keras
def test_what_keras_makes_from_a_config_has_the_regularizers_still() -> None:
    case = on_keras(Freeze("layer_norm_1"), Step(0), Reload(), Gradient(0), Step(0))
    assert not judge(case, "tensorflow").violations


@needs_keras
def test_a_regularizer_that_a_constructor_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def without(self: Any, *args: Any, bias_regularizer: Any = None, **options: Any) -> None:
        made(self, *args, **options)

    made = keras.layers.Dense.__init__
    monkeypatch.setattr(keras.layers.Dense, "__init__", without)
    found = judge(on_keras(Gradient(0)), "tensorflow").violations
    assert {finding.subject for finding in found} == {"dense_0.bias"}


@needs_keras
def test_the_constructors_of_keras_have_the_arguments_of_the_table() -> None:
    import keras

    for name, arguments in _ARGUMENTS.items():
        taken = inspect.signature(getattr(keras.layers, name).__init__).parameters
        assert {*arguments.values()} <= {*taken}, name


def test_penalties_are_drawn_for_biases_and_norms_as_well_as_for_kernels() -> None:
    architecture, met = penalised(Step(0)).architecture, set()
    for seed in range(200):
        drawn = draw_penalties(Drawn(lambda strategy, seed=seed: Random(seed)), architecture)
        met |= {architecture.parameters[name].group for name in drawn}
    assert met == {"kernel", "bias", "norm"}


@needs_keras
@pytest.mark.parametrize(("weight", "found"), [("rms_norm_2.scale", False), ("dense_0.bias", True)])
def test_a_sum_of_three_terms_may_be_rounded_otherwise_beside_others_and_one_of_two_not(
    weight: str, found: bool
) -> None:
    """A penalty of both kinds reads its weight twice, beside the layer itself."""
    evidence = gather(on_keras(Gradient(0), Freeze("layer_norm_1"), Gradient(0)), "tensorflow")
    gradient = evidence.observation.points[-1].gradients[weight]
    assert gradient is not None
    next_ones = np.nextafter(gradient, np.float32(np.inf))
    told = findings(at(evidence, 2, "gradients", weight, next_ones))
    assert {f.property_ for f in told} == ({"freezing_is_transparent"} if found else set())
    assert {f.property_ for f in findings(at(evidence, 2, "gradients", weight, gradient * 2))} == {
        "freezing_is_transparent",
        "upstream_gradients",
    }
