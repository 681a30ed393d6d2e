"""What the contract of torch 1 says; none of these tests needs torch 1 itself.

But for the last ones, which run where INVARIANTS_TORCH_1 names a Python that has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from forging import torch_case
from tests_support import apart_in, simple_case

from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS
from invariants.backends.places import Apart
from invariants.case import Case
from invariants.gate.corpus import drawn
from invariants.judge import judge
from invariants.optimizer import Muon
from invariants.oracle.contract import TORCH
from invariants.oracle.interpreter import expect
from invariants.program import Freeze, Step
from invariants.recall import expected

TORCH_1 = TORCH.of({"torch": "1.13.1+cu117"})


def eager(**options: str) -> Case:
    """The case on torch alone."""
    case = simple_case()
    realisation = case.realisations["torch"]
    realisation = replace(realisation, options={**realisation.options, **options})
    return replace(case, realisations={"torch": realisation}).check()


@pytest.mark.parametrize(
    ("version", "name"), [("1.13.1+cu117", "torch 1"), ("2.0.0", ""), ("2.13.0+cpu", ""), ("", "")]
)
def test_a_contract_is_that_of_the_version(version: str, name: str) -> None:
    assert TORCH.of({"torch": version}).release == name


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dtype": "float16"}, "float16: torch 1 has no kernel"),
        ({"optimizer": Muon()}, "optimizer: torch has no muon"),
    ],
)
def test_a_part_of_a_case_that_torch_1_lacks_is_named(changed: dict[str, Any], said: str) -> None:
    case = replace(eager(), **changed)
    assert case.lacking("torch") == ""
    assert case.lacking("torch", TORCH_1).startswith(said)


def test_what_one_release_is_expected_to_do_is_not_taken_for_what_another_is() -> None:
    """As a gate asks for both of its sides, one after the other, of the very same case."""
    layers = (Dense(units=2), Dense(units=1))
    case = torch_case(layers, (Step(0), Freeze("dense_0"), Step(0)))
    zeros = [
        {name for point in expected(case, "torch", {}, contract).points for name in point.zeros}
        for contract in (TORCH, TORCH_1, TORCH)
    ]
    assert [bool(names) for names in zeros] == [False, True, False]


def test_a_mode_and_an_option_that_torch_1_lacks_are_named() -> None:
    assert (
        eager(optimizer_loop="fused").lacking("torch", TORCH_1).startswith("optimizer_loop=fused")
    )
    case = eager()
    realisation = replace(case.realisations["torch"], mode="compiled")
    case = replace(case, realisations={"torch": realisation}).check()
    assert case.lacking("torch", TORCH_1) == "compiled: torch 1 has no torch.compile"


def test_by_default_torch_1_sets_gradients_to_zeros() -> None:
    """The script is the same: zero_grad() without an argument."""
    case = eager(zero_grad="set_to_none")
    assert "zero_grad()" in BACKENDS["torch"].render(case, {"torch": "1.13.1"})
    assert TORCH.chosen({"zero_grad": "set_to_none"})["zero_grad"] == "set_to_none"
    assert TORCH_1.chosen({"zero_grad": "set_to_none"})["zero_grad"] == "zeros"
    last = [expect(case, "torch", contract).points[-1] for contract in (TORCH, TORCH_1)]
    assert [bool(point.zeros) for point in last] == [False, False]  # thawed by then
    had = [case.course("torch", contract)[-1].had for contract in (TORCH, TORCH_1)]
    assert not had[0]
    assert "dense_0.kernel" in had[1]


def test_cases_for_torch_1_ask_for_nothing_that_it_lacks() -> None:
    cases = [entry.case for entry in drawn(["torch"], 25, 3, [], {"torch": TORCH_1})[-25:]]
    assert {case.lacking("torch", TORCH_1) for case in cases} == {""}


# --- in torch 1 itself, on the Python that it is installed in -------------------------------------


@pytest.fixture(scope="module")
def place() -> Iterator[Apart]:
    with apart_in("INVARIANTS_TORCH_1", "torch 1") as apart:
        yield apart


@pytest.mark.parametrize("zero_grad", ["set_to_none", "zeros"])
@pytest.mark.parametrize("loop", ["for-loop", "foreach"])
def test_a_case_passes_in_torch_1(place: Apart, zero_grad: str, loop: str) -> None:
    verdict = judge(eager(zero_grad=zero_grad, optimizer_loop=loop), "torch", place=place)
    assert not verdict.violations
    assert len(verdict.evidence.observation.points) == 4
