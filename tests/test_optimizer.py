"""Optimizers: each has a rule, and in each backend a row or a reason; what is refused says why."""

from __future__ import annotations

import importlib
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from tests_support import simple_case

from invariants import optimizer
from invariants.backends.tensorflow import optimizers as keras_rows
from invariants.backends.torch import optimizers as torch_rows
from invariants.case import CaseError, Realisation, from_json
from invariants.generate.cases import cases
from invariants.generate.choice import Drawn
from invariants.generate.optimizers import DRAWN, draw_optimizer
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.optimizers import RULES, TOGETHER
from invariants.program import Step

KINDS: dict[str, Any] = {o().kind: o for o in get_args(get_args(optimizer.Optimizer)[0])}

ROWS: dict[str, dict[str, Any]] = {"torch": torch_rows.ROWS, "tensorflow": keras_rows.ROWS}

MODULES = {"torch": "torch.optim", "tensorflow": "keras.optimizers"}


def test_every_optimizer_has_a_rule_and_is_drawn() -> None:
    assert set(KINDS) == {*RULES, *TOGETHER} == set(DRAWN)


@pytest.mark.parametrize("backend", CONTRACTS)
def test_a_backend_has_a_row_for_each_optimizer_that_its_contract_names(backend: str) -> None:
    assert set(ROWS[backend]) == set(CONTRACTS[backend]["optimizers"])


def test_every_optimizer_is_in_some_backend() -> None:
    assert set(KINDS) == {kind for c in CONTRACTS.values() for kind in c["optimizers"]}


@pytest.mark.parametrize("backend", CONTRACTS)
def test_every_optimizer_that_a_framework_ships_has_a_row_or_a_reason(backend: str) -> None:
    module = importlib.import_module(MODULES[backend])
    base = module.Optimizer
    shipped = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    said = CONTRACTS[backend].clauses["optimizers"].sentence
    without = shipped - {constructor for constructor, _ in ROWS[backend].values()}
    assert all(name in said for name in without), without


@pytest.mark.parametrize("backend", CONTRACTS)
def test_points_of_the_contract_name_optimizers_and_settings_that_there_are(backend: str) -> None:
    contract = CONTRACTS[backend]
    for setting in contract["optimizer_settings"]:
        kind, _, name = setting.partition(".")
        assert name in {item.name for item in fields(KINDS[kind])}
    named = [kind for _, kinds in contract["optimizer_loops"] for kind in kinds]
    named += [*contract["ungrouped_optimizers"], *contract["slots_made_with_the_optimizer"]]
    assert set(named) <= set(contract["optimizers"])


@given(data=st.data(), backend=st.sampled_from(sorted(CONTRACTS)))
def test_what_is_drawn_for_a_backend_is_not_refused(data: st.DataObject, backend: str) -> None:
    contract = CONTRACTS[backend]
    drawn = draw_optimizer(Drawn(data.draw, [contract]))
    assert not optimizer.refused(drawn, contract, {}, False)


def test_about_half_of_what_is_drawn_is_sgd_and_adam() -> None:
    kinds = []

    @given(cases())
    def draw(case: Any) -> None:
        kinds.append(case.optimizer.kind)

    for number in range(4):
        seed(number)(draw)()
    common = sum(kind in ("sgd", "adam", "adamw") for kind in kinds)
    assert 0.3 < common / len(kinds) < 0.8
    assert len(set(kinds)) > 8


def test_some_programs_step_five_times_in_a_row() -> None:
    longest = 0

    @given(cases())
    def draw(case: Any) -> None:
        nonlocal longest
        actions = "".join("s" if isinstance(a, Step) else "." for a in case.program)
        longest = max(longest, *map(len, actions.split(".")))

    draw()
    assert longest >= 5


REFUSED: dict[str, tuple[Any, dict[str, str], str]] = {
    "a kind": (optimizer.Lion(), {}, "torch has no lion"),
    "another kind": (optimizer.Rprop(), {}, "tensorflow has no rprop"),
    "a setting": (
        optimizer.SGD(momentum=0.5, dampening=0.5),
        {},
        "tensorflow cannot express dampening 0.5 of sgd",
    ),
    "a loop": (
        optimizer.NAdam(),
        {"optimizer_loop": "fused"},
        "torch has no fused implementation of nadam",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_backend_lacks_is_refused_in_one_line(what: str) -> None:
    chosen, options, said = REFUSED[what]
    backend = said.partition(" ")[0]
    case = simple_case()
    plain = case.realisations[backend]
    realisation = Realisation(plain.mode, plain.ways, {**plain.options, **options})
    case = replace(case, optimizer=chosen, realisations={backend: realisation})
    with pytest.raises(CaseError) as refusal:
        from_json(case.to_json())
    assert str(refusal.value) == f"realisations: {backend}: optimizer: {said}"


def test_groups_are_refused_where_an_optimizer_has_none() -> None:
    case = simple_case()
    case = replace(
        case,
        optimizer=optimizer.Muon(),
        groups={"dense_0": 0.25},
        realisations={"torch": case.realisations["torch"]},
    )
    with pytest.raises(CaseError, match="torch has no groups of parameters for muon"):
        case.check()


def test_an_old_file_names_no_setting_that_came_later() -> None:
    document = simple_case().to_json()
    for name in ('"dampening": 0.0', '"nesterov": false'):
        assert name in document
        document = document.replace(f",\n  {name}", "")
    assert from_json(document) == simple_case()


def test_nesterov_in_torch_needs_momentum_without_dampening() -> None:
    """torch.optim.SGD raises for anything else; what is drawn must not ask for it."""

    @given(st.data())
    def draw(data: st.DataObject) -> None:
        sgd: Any = draw_optimizer(Drawn(data.draw, [CONTRACTS["torch"]]), "sgd")
        assert not sgd.nesterov or (sgd.momentum > 0.0 and sgd.dampening == 0.0)

    draw()
