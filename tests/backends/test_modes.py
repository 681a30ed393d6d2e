"""The modes of a program: what they add to a script, and what they may change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import Phase, find, given, seed, settings
from tests_support import simple_case

from invariants.backends import BACKENDS
from invariants.case import Case
from invariants.generate.cases import cases
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS, Mode

_MODES = [
    pytest.param(backend, mode, id=f"{backend}-{mode.name}")
    for backend, contract in CONTRACTS.items()
    for mode in contract.modes
]


def in_mode(case: Case, backend: str, mode: str) -> Case:
    return replace(
        case, realisations={backend: replace(case.realisations[backend], mode=mode)}
    ).check()


@pytest.mark.parametrize(("backend", "mode"), _MODES)
def test_every_mode_is_drawn_where_it_is_asked_for(backend: str, mode: Mode) -> None:
    case = find(
        cases((backend,), mode=mode.name),
        lambda case: case.realisations[backend].mode == mode.name,
        settings=settings(database=None, phases=[Phase.generate]),
    )
    compile(BACKENDS[backend].render(case), "<case>", "exec")


@pytest.mark.parametrize(("backend", "mode"), _MODES)
def test_every_mode_says_where_it_is_documented(backend: str, mode: Mode) -> None:
    assert mode.sentence
    assert mode.source.startswith("https://")
    assert mode.seconds > 0.0


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be one of eager, compiled"):
        cases(("torch",), mode="compield")


@pytest.mark.parametrize(
    "mode",
    [mode.name for mode in CONTRACTS["torch"].modes if mode.traits and mode.seconds < 5.0],
)
def test_freezing_and_thawing_are_seen_in_every_mode(mode: str) -> None:
    """A graph that was compiled under other flags, or a stretch that is recomputed."""
    verdict = judge(in_mode(simple_case(), "torch", mode), "torch")
    assert verdict.findings == ()
    assert verdict.measures.gradients > 0


@pytest.mark.parametrize("mode", ["compiled", "compiled_in_place"])
def test_what_is_compiled_once_is_called_in_every_action(mode: str) -> None:
    source = BACKENDS["torch"].render(in_mode(simple_case(), "torch", mode))
    assert source.count('backend="aot_eager"') == 1
    assert ("= run(x0)" in source or "(run(x0)" in source) is (mode == "compiled")


@pytest.mark.parametrize("mode", [m.name for m in CONTRACTS["tensorflow"].modes if m.trains_itself])
def test_what_a_model_trains_by_itself_is_what_one_can(mode: str) -> None:
    @seed(0)
    @settings(max_examples=20, database=None, deadline=None, phases=(Phase.generate,))
    @given(cases(("tensorflow",), mode=mode))
    def checked(case: Case) -> None:
        assert case.check().realisations["tensorflow"].mode == mode

    checked()
