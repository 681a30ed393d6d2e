"""Partial freezing: a mask of gradients, by the loop or by a hook, holds a part of a weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import at, gradient_of, point_of, since, torch_case
from tests_support import simple_case

from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError
from invariants.hazards import MASKED
from invariants.judge import gather
from invariants.observation import Array, same_bits
from invariants.optimizer import SGD, Adam, Clip, Muon, ScheduleFreeAdamW
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.program import Compile, Freeze, Gradient, Reload, Step, Thaw
from invariants.properties import findings
from invariants.properties.evidence import Evidence

KERNEL = "dense_2.kernel"
TARGETS = {"masked_gradient": "dense_2", "gradient_hook": KERNEL}
#: torch keeps the kernel with axes (units, features) = (2, 3).
HELD = (np.arange(6) % 2 == 0).reshape(2, 3).T


def program(way: str, *between: Any) -> tuple[Any, ...]:
    return (Step(0), Freeze(TARGETS[way]), *between, Step(0), Step(0))


def case(way: str, actions: tuple[Any, ...] | None = None, **options: Any) -> Case:
    layers = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))
    actions = program(way) if actions is None else actions
    made = torch_case(layers, tuple(a for a in actions if not isinstance(a, Reload)), **options)
    ways = {Freeze: way, Thaw: way, Reload: "deepcopy"}
    realisation = replace(
        made.realisations["torch"], ways=tuple(ways.get(type(action)) for action in actions)
    )
    return replace(made, program=actions, realisations={"torch": realisation}).check()


def weight(evidence: Evidence, action: int) -> Array:
    return point_of(evidence.observation, action).weights[KERNEL]


def told(evidence: Evidence) -> set[tuple[str, str | None]]:
    return {(f.severity, f.issue) for f in findings(evidence)}


@pytest.mark.parametrize("clip", [None, Clip(kind="global_norm", limit=0.0625)])
@pytest.mark.parametrize("way", TARGETS)
def test_plain_descent_moves_what_the_mask_leaves_alone(way: str, clip: Any) -> None:
    evidence = gather(case(way, optimizer=SGD(), clip=clip), "torch")
    assert not findings(evidence)
    before, after = weight(evidence, 0), weight(evidence, 3)
    assert same_bits(before[HELD], after[HELD])
    assert (before != after)[~HELD].all()
    assert not gradient_of(evidence, 3, KERNEL)[HELD].any()


@pytest.mark.parametrize(
    "optimizer", [SGD(momentum=0.5), SGD(weight_decay=0.5), Adam(), Muon()], ids=lambda o: o.kind
)
@pytest.mark.parametrize("way", TARGETS)
def test_what_moves_masked_elements_as_documented_is_a_hazard(way: str, optimizer: Any) -> None:
    evidence = gather(case(way, optimizer=optimizer), "torch")
    assert told(evidence) == {("hazard", MASKED.id)}
    assert (weight(evidence, 0) != weight(evidence, 3))[HELD].any()


@pytest.mark.parametrize("way", TARGETS)
def test_a_new_optimizer_has_no_momentum_to_move_them_by(way: str) -> None:
    evidence = gather(case(way, program(way, Compile()), optimizer=Adam()), "torch")
    assert not findings(evidence)
    assert same_bits(weight(evidence, 0)[HELD], weight(evidence, 4)[HELD])


def test_a_copy_has_no_hook_and_the_loop_goes_on_masking() -> None:
    hooked, masked = (
        gather(case(way, program(way, Reload()), optimizer=SGD()), "torch")
        for way in ("gradient_hook", "masked_gradient")
    )
    assert not findings(hooked)
    assert not findings(masked)
    assert (weight(hooked, 0) != weight(hooked, 4)).all()
    assert same_bits(weight(masked, 0)[HELD], weight(masked, 4)[HELD])


@pytest.mark.parametrize("way", TARGETS)
def test_thawing_takes_the_mask_off(way: str) -> None:
    actions = (*program(way), Thaw(TARGETS[way]), Step(0))
    evidence = gather(case(way, actions, optimizer=SGD()), "torch")
    assert not findings(evidence)
    assert (weight(evidence, 3) != weight(evidence, 5)).all()


def test_a_frozen_weight_takes_no_hook() -> None:
    actions = (Freeze(KERNEL), Freeze(KERNEL), Step(0), Thaw(KERNEL), Step(0))
    made = case("gradient_hook", actions, optimizer=SGD())
    ways = ("tensor_requires_grad_", "gradient_hook", None, "tensor_requires_grad_", None)
    realisation = replace(made.realisations["torch"], ways=ways)
    evidence = gather(replace(made, realisations={"torch": realisation}).check(), "torch")
    assert not findings(evidence)
    assert set(evidence.observation.errors) == {1}
    assert (weight(evidence, 2) != weight(evidence, 4)).all()


@pytest.mark.parametrize("way", TARGETS)
def test_other_gradients_are_what_they_were_to_the_bit(way: str) -> None:
    actions = (Gradient(0), Freeze(TARGETS[way]), Gradient(0))
    evidence = gather(case(way, actions), "torch")
    assert not findings(evidence)
    before = gradient_of(evidence, 0, "dense_0.kernel")
    assert same_bits(before, gradient_of(evidence, 2, "dense_0.kernel"))
    kernel = np.where(HELD, 0.0, gradient_of(evidence, 0, KERNEL) * (1.0 + 1e-12))
    forged = at(evidence, 2, "gradients", KERNEL, kernel)
    assert {f.property_ for f in findings(forged)} >= {"freezing_is_transparent"}


@pytest.mark.parametrize("way", TARGETS)
def test_a_masked_gradient_that_is_not_0_and_an_element_that_moves_are_found(way: str) -> None:
    evidence = gather(case(way, optimizer=SGD()), "torch")
    leaking = gradient_of(evidence, 3, KERNEL) + 1e-9 * HELD
    forged = at(evidence, 3, "gradients", KERNEL, leaking)
    assert {f.property_ for f in findings(forged)} == {"upstream_gradients"}
    moved = since(evidence, 3, KERNEL, lambda w: w + 1e-15 * HELD)
    assert {(f.property_, f.action) for f in findings(moved)} == {("frozen_weights", 3)}


@pytest.mark.parametrize("way", TARGETS)
def test_a_move_that_the_optimizer_does_not_make_is_a_violation(way: str) -> None:
    evidence = gather(case(way, optimizer=SGD(momentum=0.5)), "torch")
    forged = since(evidence, 2, KERNEL, lambda w: np.where(HELD, w * 1.001, w))
    worst = [f for f in findings(forged) if f.severity == "violation"]
    assert [(f.property_, f.action, f.subject) for f in worst] == [("frozen_weights", 2, KERNEL)]


def test_the_scripts_name_the_way() -> None:
    source = BACKENDS["torch"].render(case("gradient_hook"))
    assert f'hooks["{KERNEL}"] = model.dense_2.weight.register_hook(every_second)' in source
    source = BACKENDS["torch"].render(case("masked_gradient"))
    assert "for parameter in (model.dense_2.bias, model.dense_2.weight,):" in source


def keras_case(mode: str = "tape") -> Case:
    made = simple_case()
    ways = ("masked_gradient", None, None, "masked_gradient", None)
    realisation = replace(made.realisations["tensorflow"], mode=mode, ways=ways)
    return replace(made, optimizer=SGD(), realisations={"tensorflow": realisation})


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
def test_a_loop_of_keras_masks_between_tape_and_optimizer() -> None:
    evidence = gather(keras_case().check(), "tensorflow")
    assert not findings(evidence)
    held = (np.arange(4) % 2 == 0).reshape(2, 2)
    loaded, stepped = (point_of(evidence.observation, n).weights[KERNEL] for n in (-1, 2))
    assert same_bits(loaded[held], stepped[held])
    assert (loaded != stepped)[~held].any()
    assert not gradient_of(evidence, 1, KERNEL)[held].any()


def test_a_model_that_trains_by_itself_shows_no_gradient_to_mask() -> None:
    made = replace(
        keras_case("fit"),
        program=tuple(Step(0) if isinstance(a, Gradient) else a for a in simple_case().program),
    )
    with pytest.raises(CaseError, match=r"ways\[0\]: a freeze here goes by layer_trainable"):
        made.check()


def test_what_stands_in_for_a_parameter_has_none_of_its_hooks() -> None:
    made = case("gradient_hook")
    realisation = replace(made.realisations["torch"], mode="functional")
    with pytest.raises(CaseError, match=r"goes by tensor_requires_grad_ or tensor_attribute$"):
        replace(made, realisations={"torch": realisation}).check()


def test_only_what_holds_a_part_is_partial() -> None:
    partial = {way.name for c in CONTRACTS.values() for way in c.ways if way.partial}
    assert partial == set(TARGETS)


@pytest.mark.parametrize(("optimizer", "rounds"), [(SGD(), False), (ScheduleFreeAdamW(), True)])
def test_a_weight_that_is_made_anew_is_rounded_where_a_mask_holds_it(
    optimizer: Any, rounds: bool
) -> None:
    made = replace(keras_case(), optimizer=optimizer).check()
    (step,) = (p for p in expect(made, "tensorflow").points if p.updates)
    update = step.updates[KERNEL]
    assert not update.value[step.masked[KERNEL]].any()
    assert update.spread[step.masked[KERNEL]].any() == rounds
