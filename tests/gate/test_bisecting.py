"""The first release that shows something is found by halving."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from shelf import put

from invariants.gate.bisecting import is_version, narrowed, released
from invariants.gate.errors import GateError

RELEASES = [f"1.{n}" for n in range(1, 10)]


@pytest.mark.parametrize("first", range(1, 11))
def test_halving_finds_the_first_that_shows_it(first: int) -> None:
    asked = []

    def shows(release: str) -> bool:
        asked.append(release)
        return int(release.partition(".")[2]) >= first

    assert narrowed("1.0", "1.10", RELEASES, shows) == (f"1.{first - 1}", f"1.{first}")
    assert len(asked) <= 4


def test_a_release_that_cannot_be_asked_is_passed_over() -> None:
    def shows(release: str) -> bool | None:
        return None if release in ("1.4", "1.5") else release > "1.5"

    assert narrowed("1.0", "1.10", RELEASES, shows) == ("1.3", "1.6")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0", "1.1", "1.2rc1", "1.2", "1.10", "2.0"):
        put(tmp_path, "torch", version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def test_the_releases_between_come_from_good_to_bad(index: None) -> None:
    assert released("torch", "1.0", "2.0", sys.executable) == ["1.1", "1.2", "1.10"]
    assert released("torch", "2.0", "1.1", sys.executable) == ["1.10", "1.2"]
    with pytest.raises(GateError, match=r"there is no torch 3; the newest is 2\.0"):
        released("torch", "1.0", "3", sys.executable)


def test_a_version_is_one() -> None:
    assert is_version("3.12.0")
    assert not is_version("three")
