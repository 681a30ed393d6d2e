"""What the benchmarks measure with: bisection, disturbed gradients, exponents, tables."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.__main__ import page, plain
from benchmarks.chains import chain, parameters_of
from benchmarks.growth import exponent
from benchmarks.networks import as_tensorflow, as_torch, disturbed
from benchmarks.sensitivity import Noticed, Trial, smallest
from invariants.judge import gather, judge


@given(st.floats(1e-15, 10.0))
def test_the_smallest_fault_that_is_noticed_is_found_to_a_twentieth(threshold: float) -> None:
    found = smallest(lambda share: share >= threshold)
    assert found is not None
    assert threshold <= found <= 1.05 * threshold


def test_what_is_never_noticed_and_what_always_is_have_no_smallest_fault() -> None:
    assert smallest(lambda share: False) == math.inf
    assert smallest(lambda share: True) is None
    noticed = Noticed([3.0, 1.0, 2.0, 4.0])
    assert (noticed.of(0.5), noticed.of(0.99), Noticed().of(0.5)) == (2.0, 4.0, math.inf)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_chain_is_the_same_network_as_its_function(backend: str) -> None:
    pytest.importorskip(backend)
    case = chain(backend, 4, 3, "float64", 5, masks=3)
    assert sum(array.size for array in case.weights.values()) == parameters_of(4, 3)
    assert not judge(case, backend).findings
    loss, trained = (as_torch if backend == "torch" else as_tensorflow)(case)
    point = gather(case, backend).observation.points[-1]
    value = loss(*trained.values())
    value = value.detach() if backend == "torch" else value
    assert point.loss is not None
    assert abs(float(value) - float(point.loss)) < 1e-14
    assert [*trained] == [name for name, held in point.gradients.items() if held is not None]


def test_a_disturbed_gradient_differs_in_one_element() -> None:
    torch = pytest.importorskip("torch")
    loss, trained = as_torch(chain("torch", 2, 3, "float64", 1))
    weights = [*trained.values()]
    before = torch.autograd.grad(loss(*weights), weights)
    after = torch.autograd.grad(disturbed(loss, 0, (1, 2), 0.5)(*weights), weights)
    differs = after[0] != before[0]
    assert differs.nonzero().tolist() == [[1, 2]]
    assert after[0][1, 2] == before[0][1, 2] * 1.5
    assert torch.equal(after[1], before[1])


def test_the_suite_notices_what_the_alternatives_do_not() -> None:
    pytest.importorskip("torch")
    trial = Trial("torch", 4, "float64", 2)
    checkers = trial.suite, trial.assert_close, trial.gradcheck
    assert [check(0.0) for check in checkers] == [False, False, False]
    assert [check(1e-9) for check in checkers] == [True, False, False]


def test_an_exponent_is_that_of_the_larger_sizes() -> None:
    sizes = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    assert abs(exponent(sizes, 5.0 + 0.0 * sizes)) < 1e-12
    assert abs(exponent(sizes, np.where(sizes < 8.0, 3.0, sizes**1.5)) - 1.5) < 1e-12


def test_a_page_has_a_table_for_rows_of_a_kind_and_says_what_is_never_noticed() -> None:
    row = {"depth": 2, "suite": {"half": 1.5e-14, "99 of 100": math.inf}}
    held = plain(row)
    assert json.loads(json.dumps(held, allow_nan=False)) == held
    told = page({"machine": {"Python": "3"}, "parts": {"sensitivity": [held, {"other": 0.25}]}})
    assert "| depth | suite: half | suite: 99 of 100 |\n| --- | --- | --- |" in told
    assert "| 2 | 1.5e-14 | never |" in told
    assert "| other |\n| --- |\n| 0.25 |" in told
