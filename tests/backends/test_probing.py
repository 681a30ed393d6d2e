"""A mode that an installation cannot run is named with its reason; alone it is all there is."""

from __future__ import annotations

from typing import Any

import pytest

from invariants.backends import runner
from invariants.backends.probing import lacks
from invariants.generate.cases import Wanted
from invariants.suite.hunt import Plan
from invariants.suite.test_invariants import without

_PLAN = Plan(
    "tensorflow", seed=1, examples=3, reduce_seconds=0.0, wanted=Wanted(mode="function_xla")
)


def test_what_an_installation_says_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "prepare", lambda backend: None)
    source = 'raise NotImplementedError("no XLA here\\nand more")'
    assert runner.refusal("tensorflow", source) == "NotImplementedError: no XLA here"
    assert runner.refusal("tensorflow", "one = 1") == ""


def test_a_mode_without_a_probe_needs_no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(backend: str) -> Any:
        raise AssertionError(backend)

    monkeypatch.setattr(runner, "prepare", fail)
    lacks.cache_clear()
    assert lacks("tensorflow", "tape") == ""
    assert lacks("torch", "eager") == ""


def test_a_mode_with_a_probe_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refusal(backend: str, source: str) -> str:
        asked.append(source)
        return "no compiler"

    monkeypatch.setattr(runner, "refusal", refusal)
    lacks.cache_clear()
    assert [lacks("tensorflow", "fit_xla") for _ in range(2)] == ["no compiler"] * 2
    assert len(asked) == 1
    lacks.cache_clear()


@pytest.mark.parametrize("asked", [(), ("function_xla", "tape")])
def test_the_rest_of_a_run_goes_on(asked: tuple[str, ...]) -> None:
    told: list[Any] = []
    with pytest.raises(pytest.skip.Exception, match="function_xla is not offered here: no XLA"):
        without(_PLAN, "no XLA", asked, told.append)
    (message,) = told
    assert message["counted"]["unsupported"] == {
        "mode function_xla is not offered here: no XLA": _PLAN.examples
    }


def test_a_run_of_that_mode_alone_cannot_be_made() -> None:
    told: list[Any] = []
    with pytest.raises(pytest.fail.Exception, match="no XLA"):
        without(_PLAN, "no XLA", ("function_xla",), told.append)
    assert told == [{"unavailable": "tensorflow: mode function_xla is not offered here: no XLA"}]
