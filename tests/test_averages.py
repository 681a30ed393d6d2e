"""Averages of weights: a copy that follows, a frozen weight's that stays, and what overwrites."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import LAYERS, at, last_bit_flipped, point_of, torch_case

from invariants.average import Average
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation
from invariants.judge import Verdict, gather, judge
from invariants.observation import Array, same_bits
from invariants.optimizer import SGD
from invariants.program import Compile, Evaluate, Freeze, Gradient, Reload, Step, Thaw
from invariants.properties import findings
from invariants.properties.evidence import Evidence

FROZEN = "dense_4.kernel"

#: dense_4 is trained, frozen, and trained again.
PROGRAM = (Step(0), Step(0), Freeze("dense_4"), Step(0), Step(0), Thaw("dense_4"), Step(0))


def case(average: Average, program: tuple[Any, ...] = PROGRAM, **options: Any) -> Case:
    return torch_case(LAYERS, program, average=average, **{"optimizer": SGD(), **options})


def on_keras(
    average: Average, program: tuple[Any, ...], mode: str = "tape", **options: str
) -> Case:
    plain = torch_case(LAYERS, program, optimizer=SGD(), dtype="float32")
    ways = tuple("layer_trainable" if isinstance(a, Freeze | Thaw) else None for a in program)
    realisations = {"tensorflow": Realisation(mode, ways, options)}
    return replace(plain, average=average, realisations=realisations).check()


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
    from invariants.architecture.layers.dense import Dense

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
