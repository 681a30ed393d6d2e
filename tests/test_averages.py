"""Averages of weights: a copy that follows, a frozen weight's that stays, and what overwrites."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from forging import LAYERS, at, last_bit_flipped, point_of, torch_case

from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.spectral import SpectralNormDense
from invariants.average import Average
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation
from invariants.judge import Verdict, gather, judge
from invariants.observation import Array, same_bits
from invariants.optimizer import SGD
from invariants.program import Compile, Evaluate, Freeze, Gradient, Reload, Step, Thaw
from invariants.properties import findings, training_trajectory
from invariants.properties.evidence import Evidence

FROZEN = "dense_4.kernel"

#: dense_4 is trained, frozen, and trained again.
PROGRAM = (Step(0), Step(0), Freeze("dense_4"), Step(0), Step(0), Thaw("dense_4"), Step(0))


def case(average: Average, program: tuple[Any, ...] = PROGRAM, **options: Any) -> Case:
    return torch_case(LAYERS, program, average=average, **{"optimizer": SGD(), **options})


def on_keras(
    average: Average,
    program: tuple[Any, ...],
    mode: str = "tape",
    layers: tuple[Any, ...] = LAYERS,
    **options: str,
) -> Case:
    plain = torch_case(layers, (Step(0),), optimizer=SGD(), dtype="float32")
    ways = {Freeze: "layer_trainable", Reload: "finalize_variable_values", Thaw: "layer_trainable"}
    realisation = Realisation(mode, tuple(ways.get(type(a)) for a in program), options)
    realisations = {"tensorflow": realisation}
    return replace(plain, program=program, average=average, realisations=realisations).check()


def sound(case: Case) -> Evidence:
    evidence = gather(case, "torch")
    assert not findings(evidence)
    return evidence


def average_at(evidence: Evidence, action: int, name: str) -> Array:
    return point_of(evidence.observation, action).averages[name]


def weight_at(evidence: Evidence, action: int, name: str) -> Array:
    return point_of(evidence.observation, action).weights[name]


AVERAGES = (
    Average(decay=0.9),
    Average(decay=0.0),
    Average(decay=1.0),
    Average(kind="equal"),
    Average(decay=0.5, buffers=True),
    Average(kind="equal", buffers=True),
)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("average", AVERAGES, ids=str)
def test_torch_averages_as_documented(average: Average, dtype: str) -> None:
    layers = (Dense(units=3), Dense(units=2), Dense(units=1))
    program = (Step(0), Freeze("dense_1"), Step(0), Gradient(0), Thaw("dense_1"), Step(0))
    sound(torch_case(layers, program, average=average, dtype=dtype))


@pytest.mark.parametrize("average", AVERAGES, ids=str)
def test_states_are_averaged_or_taken_as_they_are(average: Average) -> None:
    evidence = sound(case(average))
    name = "batch_norm_1.moving_mean"
    taken = same_bits(average_at(evidence, 6, name), weight_at(evidence, 6, name))
    lags = average.buffers and average.decay > 0.0
    assert taken is not lags


def test_the_first_average_is_the_weight_and_the_mean_that_of_all() -> None:
    evidence = sound(case(Average(kind="equal"), (Step(0), Step(0), Step(0))))
    name = "dense_5.kernel"
    assert same_bits(average_at(evidence, 0, name), weight_at(evidence, 0, name))
    mean = np.mean([weight_at(evidence, n, name) for n in range(3)], axis=0)
    assert np.abs(average_at(evidence, 2, name) - mean).max() < 1e-15


def test_the_average_of_a_weight_frozen_from_the_start_is_that_weight_to_the_bit() -> None:
    program = (Freeze("dense_4"), *(Step(0),) * 4)
    evidence = sound(case(Average(decay=0.9), program))
    assert same_bits(average_at(evidence, 4, FROZEN), weight_at(evidence, 4, FROZEN))
    flipped = last_bit_flipped(average_at(evidence, 4, FROZEN), (0, 0))
    found = findings(at(evidence, 4, "averages", FROZEN, flipped))
    assert {(f.property_, f.subject) for f in found} == {("training_trajectory", FROZEN)}


@pytest.mark.parametrize(("value", "told"), [(0.25, True), (-np.inf, False)])
def test_the_average_of_an_infinite_weight_is_not_said_to_stay(value: float, told: bool) -> None:
    """A rule that adds a difference has infinity minus infinity there."""
    evidence = sound(case(Average(decay=0.9), (Freeze("dense_4"), *(Step(0),) * 4)))
    for action in range(5):
        last = value if action < 4 else value - value
        for field, number in (("weights", value), ("averages", last)):
            forged = np.full_like(weight_at(evidence, 4, FROZEN), number)
            evidence = at(evidence, action, field, FROZEN, forged)
    with patch.object(Evidence, "comparable", evidence.pairs):
        said = [finding.message for finding in training_trajectory.judge(evidence)]
    assert any("has stayed" in message for message in said) is told


def test_a_weight_that_is_frozen_later_is_caught_up_with() -> None:
    evidence = sound(case(Average(decay=0.5)))
    behind = [
        np.abs(average_at(evidence, n, FROZEN) - weight_at(evidence, n, FROZEN)).max()
        for n in (1, 3, 4)
    ]
    assert behind[0] > behind[1] > behind[2] > 0.0
    assert same_bits(weight_at(evidence, 1, FROZEN), weight_at(evidence, 4, FROZEN))


def test_an_average_that_forgets_a_frozen_weight_is_found() -> None:
    evidence = sound(case(Average(decay=0.5)))
    left = at(evidence, 3, "averages", FROZEN, average_at(evidence, 1, FROZEN))
    assert {f.property_ for f in findings(left)} == {"training_trajectory"}


def test_in_torch_the_average_outlives_optimizer_and_model() -> None:
    plain = case(Average(decay=0.5), (Step(0), Compile(), Step(0)))
    ways = (*plain.realisations["torch"].ways, "new_module", None)
    realisation = replace(plain.realisations["torch"], ways=ways)
    program = (*plain.program, Reload(), Step(0))
    made = replace(plain, program=program, realisations={"torch": realisation})
    evidence = sound(made.check())
    assert not same_bits(average_at(evidence, 4, FROZEN), weight_at(evidence, 4, FROZEN))


def test_an_evaluation_of_the_averages_moves_nothing() -> None:
    plain = case(Average(decay=0.5), (Step(0), Step(0)))
    program = (*plain.program, Evaluate(0), Step(0))
    ways = (*plain.realisations["torch"].ways, "averaged_model", None)
    realisation = replace(plain.realisations["torch"], ways=ways)
    made = replace(plain, program=program, realisations={"torch": realisation}).check()
    evidence = sound(made)
    before, after = (point_of(evidence.observation, n).weights for n in (1, 2))
    assert all(same_bits(before[name], after[name]) for name in before)
    assert "    averaged.eval()\n    with torch.no_grad():\n        averaged(x0)" in BACKENDS[
        "torch"
    ].render(made)
    with pytest.raises(CaseError, match=r"an? evaluate here goes by no_grad or inference_mode"):
        replace(made, average=None).check()


def taking(average: Average, program: tuple[Any, ...], **options: Any) -> Case:
    """A torch case whose reloads take the averages."""
    steps = tuple(action for action in program if not isinstance(action, Reload))
    plain = case(average, steps, **options)
    realisation, left = plain.realisations["torch"], iter(plain.realisations["torch"].ways)
    ways = tuple("averages" if isinstance(a, Reload) else next(left) for a in program)
    realisations = {"torch": replace(realisation, ways=ways)}
    return replace(plain, program=program, realisations=realisations).check()


def test_in_torch_all_weights_and_states_become_their_averages() -> None:
    made = taking(Average(decay=0.5, buffers=True), (Step(0), Step(0), Reload(), Step(0)))
    evidence = sound(made)
    before, after = (point_of(evidence.observation, n) for n in (1, 2))
    assert all(same_bits(before.averages[name], after.weights[name]) for name in before.averages)
    assert any(not same_bits(before.weights[n], after.weights[n]) for n in before.averages)
    source = BACKENDS["torch"].render(made)
    assert "model.load_state_dict(averaged.module.state_dict())" in source
    with pytest.raises(CaseError, match="a reload here goes by"):
        replace(made, average=None).check()


def test_averages_before_the_first_step_are_the_weights_that_the_model_was_made_with() -> None:
    evidence = sound(taking(Average(), (Reload(), Step(0))))
    before, after = (point_of(evidence.observation, n) for n in (-1, 0))
    assert all(same_bits(before.weights[name], after.weights[name]) for name in before.weights)


def test_a_frozen_weight_that_becomes_its_average_is_a_hazard() -> None:
    program = (Step(0), Step(0), Freeze("dense_4"), Reload(), Gradient(0))
    found = findings(gather(taking(Average(decay=0.5), program), "torch"))
    told = {(f.severity, f.issue, f.subject) for f in found}
    bias = FROZEN.replace("kernel", "bias")
    assert told == {("hazard", "averages-move-frozen", name) for name in (FROZEN, bias)}


def test_a_weight_that_does_not_become_its_average_is_found() -> None:
    evidence = sound(taking(Average(decay=0.5), (Step(0), Step(0), Reload(), Gradient(0))))
    left = at(evidence, 2, "weights", FROZEN, weight_at(evidence, 1, FROZEN))
    assert ("frozen_weights", FROZEN) in {(f.property_, f.subject) for f in findings(left)}


def test_the_scripts_read_as_people_write_them() -> None:
    source = BACKENDS["torch"].render(case(Average(decay=0.75, buffers=True)))
    assert "get_ema_multi_avg_fn(0.75), use_buffers=True)" in source
    assert source.count("optimizer.step()\n    averaged.update_parameters(model)") == 5
    source = BACKENDS["torch"].render(case(Average(kind="equal")))
    assert "averaged = torch.optim.swa_utils.AveragedModel(model)" in source
    source = BACKENDS["tensorflow"].render(on_keras(Average(overwrite=2), PROGRAM))
    assert "use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2" in source


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
class TestKeras:
    """What the averages of an optimizer of Keras do."""

    def judged(self, *arguments: Any, **options: str) -> Verdict:
        verdict = judge(on_keras(*arguments, **options), "tensorflow")
        assert not verdict.violations
        return verdict

    @pytest.mark.parametrize("overwrite", [0, 1, 2])
    @pytest.mark.parametrize("build", ["ahead", "first_step"])
    def test_keras_averages_as_documented(self, overwrite: int, build: str) -> None:
        average = Average(decay=0.5, overwrite=overwrite)
        verdict = self.judged(average, PROGRAM, optimizer_build=build)
        point = point_of(verdict.evidence.observation, 1)
        name = "dense_5.kernel"
        assert same_bits(point.averages[name], point.weights[name]) is bool(overwrite)

    def test_a_new_optimizer_has_new_averages(self) -> None:
        program = (Step(0), Step(0), Compile(), Step(0))
        verdict = self.judged(Average(decay=0.5), program)
        point = point_of(verdict.evidence.observation, 3)
        assert same_bits(point.averages[FROZEN], point.weights[FROZEN])

    def test_overwriting_a_frozen_weight_is_a_known_issue(self) -> None:
        program = (Step(0), Step(0), Freeze("dense_4"), Step(0))
        verdict = self.judged(Average(decay=0.5, overwrite=3), program)
        known = {(f.property_, f.issue) for f in verdict.findings if f.subject == FROZEN}
        assert ("frozen_weights", "keras-average-overwrites-frozen") in known

    def test_fit_ends_with_the_averages(self) -> None:
        verdict = self.judged(Average(decay=0.5), (Step(0), Step(0)), "fit")
        point = point_of(verdict.evidence.observation, 1)
        assert all(same_bits(point.averages[n], point.weights[n]) for n in point.averages)

    def test_averages_that_fit_hands_to_other_weights_are_a_known_issue(self) -> None:
        program = (Step(0), Freeze("dense_0"), Step(0))
        verdict = self.judged(Average(decay=0.5), program, "fit")
        assert "keras-average-by-position" in {f.issue for f in verdict.findings}

    @pytest.mark.parametrize("mode", ["tape", "train_on_batch"])
    def test_what_is_trainable_becomes_its_averages_and_no_frozen_weight_does(
        self, mode: str
    ) -> None:
        program = (Freeze("dense_4"), Compile(), Step(0), Step(0), Reload(), Step(0))
        verdict = self.judged(Average(decay=0.5), program, mode)
        before, after = (point_of(verdict.evidence.observation, n) for n in (3, 4))
        assert FROZEN not in before.averages
        for name, average in before.averages.items():
            assert same_bits(average, after.weights[name])
        assert same_bits(before.weights[FROZEN], after.weights[FROZEN])

    def test_averages_that_a_loop_hands_to_other_weights_are_a_known_issue(self) -> None:
        program = (Step(0), Freeze("dense_0"), Reload())
        verdict = self.judged(Average(decay=0.5), program)
        assert "keras-average-by-position" in {f.issue for f in verdict.findings}

    def test_averages_before_the_first_step_are_zeros_as_a_known_issue(self) -> None:
        program = (Step(0), Compile(), Reload(), Step(0))
        verdict = self.judged(Average(decay=0.5), program)
        point = point_of(verdict.evidence.observation, 2)
        assert not point.weights[FROZEN].any()
        assert "keras-average-of-zeros" in {f.issue for f in verdict.findings}

    def test_a_fit_that_fails_for_want_of_averages_has_run_its_steps(self) -> None:
        """It raises at its end: the vectors of a frozen layer that trains on have moved by then."""
        vector = "spectral_norm_dense_1.vector_u"
        layers = (Dense(units=3), SpectralNormDense(units=2))
        program = (Freeze(""), Compile(), Step(0), Compile())
        made = on_keras(Average(decay=0.5), program, "fit", layers, optimizer_build="first_step")
        verdict = judge(made, "tensorflow")
        assert {f.issue for f in verdict.findings} == {"keras-average-of-nothing"}
        after = point_of(verdict.evidence.observation, 3).weights[vector]
        assert not same_bits(after, made.weights[vector].astype(np.float32))
