"""The batches of a run: as many cases as asked for, each from a seed of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from invariants.suite.profiles import PROFILES
from invariants.suite.session import OptionError, Options, writable

BOTH = ["torch", "tensorflow"]


def options(backends: list[str], profile: str = "quick", examples: int | None = None) -> Options:
    return Options.checked(backends, profile, examples, 3, None, False)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_batches_of_a_profile_add_up_to_its_cases(profile: str) -> None:
    drawn: Counter[str] = Counter()
    for plan in options(BOTH, profile).plans():
        drawn[plan.backend] += plan.examples
    assert drawn == PROFILES[profile].examples


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
    assert {p.compare for p in options(BOTH).plans() if p.backend == "tensorflow"} == {"torch"}
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
