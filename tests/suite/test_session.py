"""The batches of a run: as many cases as asked for, each from a seed of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis.strategies import SearchStrategy

from invariants.generate.cases import cases
from invariants.ledger import applying, known_issues
from invariants.oracle.contract import CONTRACTS
from invariants.suite.profiles import PROFILES
from invariants.suite.session import OptionError, Options, writable

BOTH = ["torch", "tensorflow"]


def options(backends: list[str], profile: str = "quick", examples: int | None = None) -> Options:
    return Options.checked(backends, profile, examples, 3, None, False)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_batches_of_a_profile_add_up_to_its_cases(profile: str) -> None:
    drawn: Counter[str] = Counter()
    for plan in options(BOTH, profile).plans():
        quick = not plan.mode or CONTRACTS[plan.backend].mode(plan.mode).quick
        drawn[plan.backend] += plan.examples if quick and not plan.until else 0
    assert drawn == PROFILES[profile].examples


@pytest.mark.parametrize(("profile", "compiled", "inductor"), [("quick", 0, 0), ("ci", 10, 3)])
def test_a_mode_that_is_not_quick_has_cases_of_its_own(
    profile: str, compiled: int, inductor: int
) -> None:
    drawn: Counter[str] = Counter()
    for plan in options(BOTH, profile).plans():
        drawn[plan.mode] += 0 if plan.until else plan.examples
    assert drawn["compiled"] == compiled
    assert drawn["inductor"] == inductor
    assert {drawn[mode] for mode in ("eager", "tape", "recompute_grad")} == {
        PROFILES[profile].of_a_quick_mode
    }


def test_no_quick_mode_is_left_out_of_a_short_run() -> None:
    modes = [mode for backend in BOTH for mode in CONTRACTS[backend].modes if mode.quick]
    assert {PROFILES["quick"].share(mode) > 0 for mode in modes} == {True}


def test_in_ci_every_mode_but_the_slowest_has_ten_cases_at_least() -> None:
    drawn: Counter[tuple[str, str]] = Counter()
    for plan in options(BOTH, "ci").plans():
        drawn[plan.backend, plan.mode] += 0 if plan.until else plan.examples
    few = {
        mode.name: drawn[backend, mode.name]
        for backend in BOTH
        for mode in CONTRACTS[backend].modes
        if drawn[backend, mode.name] < 10
    }
    assert few == {"inductor": 3}


def test_each_known_issue_that_is_seldom_met_is_looked_for_where_there_is_time() -> None:
    rare = [issue.id for name in BOTH for issue in applying(name) if issue.wanted]
    sought = [plan.until.id for plan in options(BOTH, "ci").plans() if plan.until]
    assert sorted(sought) == sorted(rare)
    assert not [plan for plan in options(BOTH, "quick").plans() if plan.until]
    assert not [plan for plan in options(BOTH, "ci", 5).plans() if plan.until]


@pytest.mark.parametrize("backend", BOTH)
def test_what_a_known_issue_wants_of_a_case_can_be_drawn(backend: str) -> None:
    for issue in known_issues():
        if issue.backend == backend:
            assert isinstance(cases((backend,), **issue.wanted), SearchStrategy)


def test_a_quick_mode_alone_has_all_cases_of_the_profile() -> None:
    alone = Options.checked(["torch"], "quick", None, 3, None, False, ["hooked"])
    assert sum(plan.examples for plan in alone.plans()) == PROFILES["quick"].examples["torch"]


def test_a_mode_alone_has_the_cases_that_are_asked_for() -> None:
    asked = Options.checked(BOTH, "quick", 7, 3, None, False, ["checkpointed"])
    assert [(p.backend, p.mode, p.examples) for p in asked.plans()] == [
        ("torch", "checkpointed", 7)
    ]


def test_a_mode_that_no_chosen_backend_has_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown mode 'fit': choose from eager, compiled"):
        Options.checked(["torch"], "quick", None, 3, None, False, ["fit"])


def on(device: str, backends: list[str], modes: list[str] | None = None) -> Options:
    return Options.checked(backends, "quick", None, 3, None, False, modes or [], device=device)


def test_every_batch_runs_on_the_device_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invariants.suite.session.absent", lambda backend, device: "")
    plans = on("cuda", BOTH).plans()
    assert {plan.device for plan in plans} == {"cuda"}
    assert {plan.backend for plan in plans} == {*BOTH}
    assert {plan.device for plan in options(BOTH).plans()} == {"cpu"}


def test_a_mode_that_a_device_lacks_has_no_batch_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invariants.suite.session.absent", lambda backend, device: "")
    without = CONTRACTS["torch"].device("cuda").without
    drawn = {plan.mode for plan in on("cuda", ["torch"]).plans()}
    assert drawn
    assert drawn.isdisjoint(without)
    with pytest.raises(OptionError, match="'scaled_float16' cannot run: autocast lowers other"):
        on("cuda", ["torch"], ["scaled_float16"])


def test_a_backend_without_the_device_is_left_out_unless_it_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("invariants.suite.session.absent", lambda backend, device: "")
    assert on("mps", []).backends == ("torch",)
    with pytest.raises(OptionError, match="tensorflow has no device 'mps', but cpu and cuda"):
        on("mps", BOTH)


def test_a_device_that_is_not_there_says_so_in_the_words_of_the_framework(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("invariants.suite.session.absent", lambda backend, device: "No: no card")
    with pytest.raises(OptionError, match="there is no device 'cuda' for torch here: No: no card"):
        on("cuda", ["torch"])


@pytest.mark.parametrize("examples", [1, 7, 100, 1001])
def test_a_number_of_cases_holds_for_each_backend(examples: int) -> None:
    drawn: Counter[str] = Counter()
    for plan in options(BOTH, examples=examples).plans():
        drawn[plan.backend] += plan.examples
    assert drawn == {"torch": examples, "tensorflow": examples}


def test_no_two_batches_of_a_backend_draw_from_the_same_seed() -> None:
    seeds = Counter((plan.backend, plan.seed) for plan in options(BOTH, "ci").plans())
    assert set(seeds.values()) == {1}


def test_backends_are_compared_where_both_are_asked_for() -> None:
    compared = [p for p in options(BOTH).plans() if p.backend == "tensorflow" and not p.mode]
    assert {p.compare for p in compared} == {"torch"}
    assert {p.compare for p in options(["tensorflow"]).plans()} == {""}
    assert {p.compare for p in options(BOTH).plans() if p.backend == "torch"} == {""}


def test_ci_judges_ten_times_the_torch_cases_that_quick_must() -> None:
    assert PROFILES["quick"].examples["torch"] >= 300
    assert PROFILES["quick"].examples["tensorflow"] >= 60
    assert PROFILES["ci"].examples["torch"] >= 3000


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = writable(tmp_path / "a" / "b")
    assert list(folder.iterdir()) == []


def test_a_file_is_no_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="cannot write to"):
        writable(tmp_path / "file" / "report")
