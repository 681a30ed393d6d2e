"""An optimizer that adds gradients up: what moves when, and what a freeze in between leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import at, last_bit_flipped, point_of, torch_case

from invariants.architecture.layers.dense import Dense
from invariants.average import Average
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation
from invariants.judge import gather, judge
from invariants.observation import same_bits
from invariants.optimizer import SGD, Adam, Clip, Muon
from invariants.oracle.contract import CONTRACTS
from invariants.program import Freeze, Gradient, Step, Thaw
from invariants.properties import findings
from invariants.schedule import Exponential

FROZEN = "dense_1.kernel"

#: dense_1 is trained, frozen and thawed before the first update, and frozen at the second one.
PROGRAM = (
    *(Step(0), Freeze("dense_1"), Step(0), Thaw("dense_1"), Step(0)),
    *(Step(0), Step(0), Freeze("dense_1"), Step(0), Thaw("dense_1"), Step(0), Step(0), Step(0)),
)
UPDATES = (4, 8, 12)

needs_tensorflow = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def case(mode: str = "tape", program: tuple[Any, ...] = PROGRAM, **options: Any) -> Case:
    """A case on Keras whose optimizer moves the weights at every third step."""
    layers = (Dense(units=3), Dense(units=2), Dense(units=1))
    settings = {"optimizer": SGD(momentum=0.5), "dtype": "float32", **options}
    plain = torch_case(layers, (Step(0),), **settings)
    ways = tuple("layer_trainable" if isinstance(a, Freeze | Thaw) else None for a in program)
    realisation = Realisation(mode, ways, {"optimizer_build": "ahead"})
    realisations = {"tensorflow": realisation}
    return replace(plain, program=program, accumulation=3, realisations=realisations).check()


@needs_tensorflow
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("tape", {"clip": Clip(kind="global_norm", limit=0.125)}),
        ("function_anew", {"optimizer": SGD(weight_decay=0.0625)}),
        ("train_on_batch", {"schedule": Exponential(decay=0.5)}),
        ("fit", {"optimizer": Adam(beta_1=0.875, beta_2=0.5)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weights_move_at_every_third_step_alone(mode: str, options: dict[str, Any]) -> None:
    verdict = judge(case(mode, **options), "tensorflow")
    assert not verdict.violations
    evidence = verdict.evidence
    assert all(np.isfinite(found.spreads).all() for found in evidence.held.values())
    steps = [n for n, action in enumerate(PROGRAM) if isinstance(action, Step)]
    before = point_of(evidence.observation, -1)
    for number in steps:
        after = point_of(evidence.observation, number)
        moved = {n for n, w in after.weights.items() if not same_bits(before.weights[n], w)}
        assert ("dense_0.kernel" in moved) is (number in UPDATES)
        assert (FROZEN in moved) is (number in (4, 12)) or mode in ("train_on_batch", "fit")
        assert number in UPDATES or not moved
        before = after


@needs_tensorflow
def test_the_average_is_over_all_steps_those_at_which_a_weight_was_frozen_too() -> None:
    evidence = gather(case(optimizer=SGD(learning_rate=0.125)), "tensorflow")
    start, first, third = (point_of(evidence.observation, n) for n in (-1, 0, 4))
    total = first.gradients[FROZEN] + third.gradients[FROZEN]
    assert np.allclose(third.weights[FROZEN], start.weights[FROZEN] - 0.125 * total / 3)


@needs_tensorflow
def test_what_a_weight_had_before_it_was_frozen_is_gone_with_the_update() -> None:
    evidence = gather(case(), "tensorflow")
    held = {n: point_of(evidence.observation, n).slots[FROZEN] for n in (6, 8)}
    assert held[6]["accumulated_gradients"].any()
    assert not held[8]["accumulated_gradients"].any()


@needs_tensorflow
def test_a_weight_that_moves_while_gradients_are_added_up_is_found() -> None:
    evidence = gather(case(), "tensorflow")
    kernel = point_of(evidence.observation, 0).weights["dense_0.kernel"]
    moved = at(evidence, 0, "weights", "dense_0.kernel", last_bit_flipped(kernel, (0, 0)))
    found = {(f.property_, f.message) for f in findings(moved)}
    assert (
        "frozen_weights",
        "dense_0.kernel is in a step that makes no update and has changed",
    ) in found


@needs_tensorflow
def test_averages_that_follow_weights_which_stay_are_a_known_issue() -> None:
    program = (*(Step(0),) * 7, Gradient(0))
    verdict = judge(case(program=program, average=Average(decay=0.5)), "tensorflow")
    assert not verdict.violations
    assert "keras-average-follows-every-step" in {finding.issue for finding in verdict.findings}


def test_a_backend_without_it_says_so() -> None:
    with pytest.raises(CaseError) as raised:
        replace(torch_case((Dense(units=1),), (Step(0),)), accumulation=2).check()
    said = CONTRACTS["torch"].said("gradient_accumulation")
    assert str(raised.value) == f"realisations: torch: accumulation: {said}"


def test_a_count_that_is_not_known_is_refused() -> None:
    with pytest.raises(CaseError, match="accumulation: a step that the scale of the loss skips"):
        case("mixed_float16_scaled", (Step(0),))
    with pytest.raises(CaseError, match="accumulation: muon raises at some steps"):
        case(optimizer=Muon())


def test_the_script_reads_as_people_write_it() -> None:
    source = BACKENDS["tensorflow"].render(case())
    assert "momentum=0.5, nesterov=False, gradient_accumulation_steps=3)" in source
