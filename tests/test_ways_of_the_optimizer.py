"""A learning rate of 0, and an optimizer without the layer: ways to freeze that leave gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from forging import at, gradient_of, last_bit_flipped, point_of, since, torch_case

from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS
from invariants.case import Case, CaseError
from invariants.judge import gather
from invariants.observation import same_bits
from invariants.optimizer import SGD, Adam, Clip, Rprop
from invariants.program import Compile, Freeze, SetRate, Step, Thaw
from invariants.properties import findings
from invariants.properties.evidence import Evidence

WAYS = ("rate_zero", "left_out")
TARGET = "dense_2"
FROZEN = f"{TARGET}.kernel"
PROGRAM = (Step(0), Freeze(TARGET), Step(0), SetRate(0.5), Step(0), Thaw(TARGET), Step(0))


def case(way: str, program: tuple[Any, ...] = PROGRAM, **options: Any) -> Case:
    layers = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))
    made = torch_case(layers, program, **{"optimizer": Adam(), **options})
    ways = tuple(way if isinstance(a, Freeze | Thaw) else None for a in program)
    realisation = replace(made.realisations["torch"], ways=ways)
    return replace(made, realisations={"torch": realisation}).check()


def sound(case: Case) -> Evidence:
    evidence = gather(case, "torch")
    assert not findings(evidence)
    return evidence


def stays(evidence: Evidence, before: int, after: int) -> bool:
    first, last = (point_of(evidence.observation, n).weights[FROZEN] for n in (before, after))
    return same_bits(first, last)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.5, weight_decay=0.25), Adam()])
@pytest.mark.parametrize("way", WAYS)
def test_the_weights_stay_and_the_gradients_go_on(way: str, optimizer: Any) -> None:
    evidence = sound(case(way, optimizer=optimizer))
    assert stays(evidence, 0, 4)
    assert not stays(evidence, 4, 6)
    assert gradient_of(evidence, 4, FROZEN).any()
    assert point_of(evidence.observation, 4).flags[FROZEN]


def test_slots_go_on_at_a_rate_of_zero_and_are_gone_with_the_optimizer() -> None:
    at_zero, without = (sound(case(way)).observation for way in WAYS)
    moments = [point_of(at_zero, n).slots[FROZEN]["exp_avg"] for n in (2, 4)]
    assert not same_bits(*moments)
    assert FROZEN not in point_of(without, 4).slots


@pytest.mark.parametrize("way", WAYS)
def test_another_optimizer_trains_all_again(way: str) -> None:
    program = (Step(0), Freeze(TARGET), Step(0), Compile(), Step(0))
    assert not stays(sound(case(way, program)), 2, 4)


@pytest.mark.parametrize("way", WAYS)
def test_gradients_that_move_nothing_count_in_the_norm_of_all(way: str) -> None:
    evidence = sound(case(way, clip=Clip(kind="global_norm", limit=0.0625)))
    gradients = point_of(evidence.observation, 4).gradients.values()
    total = sum(float((g * g).sum()) for g in gradients if g is not None) ** 0.5
    assert 0.0624 < total <= 0.0625


def test_an_optimizer_without_anything_is_refused_and_the_old_one_goes_on() -> None:
    program = (Step(0), Freeze(""), Step(0))
    assert not stays(sound(case("left_out", program)), 0, 2)


@pytest.mark.parametrize("way", WAYS)
def test_a_flipped_bit_and_a_lost_gradient_are_found(way: str) -> None:
    evidence = sound(case(way))
    flipped = since(evidence, 4, FROZEN, lambda w: last_bit_flipped(w, (0, 0)))
    assert {f.property_ for f in findings(flipped)} == {"frozen_weights"}
    lost = at(evidence, 4, "gradients", FROZEN, None)
    assert {f.property_ for f in findings(lost)} == {"upstream_gradients"}


def test_rules_that_do_not_go_by_the_rate_are_refused() -> None:
    with pytest.raises(CaseError, match="a rate of 0 does not hold rprop"):
        case("rate_zero", optimizer=Rprop())
    with pytest.raises(CaseError, match="parameter groups of its own"):
        case("left_out", groups={"dense_0": 0.25})


def test_the_script_names_the_way() -> None:
    source = BACKENDS["torch"].render(case("rate_zero"))
    assert "set_rate(optimizer, model.dense_2.parameters(), 0.0)" in source
    assert "set_rate(optimizer, model.dense_2.parameters(), 0.03125)" in source
    source = BACKENDS["torch"].render(case("left_out"))
    assert 'if not name.startswith(("dense_2.",))]' in source
    assert "model.zero_grad()" in source
