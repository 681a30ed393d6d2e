"""The first release that shows something is found by halving."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sample_result import HEADS, sample
from shelf import put
from tests_support import simple_case

from invariants.cli import main
from invariants.gate import bisecting, result_file, running
from invariants.gate.bisecting import Edge, is_version, narrowed, released
from invariants.gate.environments import Side
from invariants.gate.errors import GateError
from invariants.gate.result import Result, unjudged

WAIVED = """
[[waiver]]
backend = "torch"
property = "program_runs"
what = "the step did not end as documented"
reason = "we catch it"
expires = 2099-12-31
"""

RELEASES = [f"1.{n}" for n in range(1, 10)]


@pytest.mark.parametrize("first", range(1, 11))
def test_halving_finds_the_first_that_shows_it(first: int) -> None:
    asked = []

    def shows(release: str) -> bool:
        asked.append(release)
        return int(release.partition(".")[2]) >= first

    assert narrowed("1.0", "1.10", RELEASES, shows) == Edge(f"1.{first - 1}", f"1.{first}")
    assert len(asked) <= 4


def test_a_release_that_cannot_be_asked_is_passed_over() -> None:
    def shows(release: str) -> bool | None:
        return None if release in ("1.4", "1.5") else release > "1.5"

    assert narrowed("1.0", "1.10", RELEASES, shows) == Edge("1.3", "1.6", ("1.4", "1.5"))


@pytest.mark.parametrize("edge", range(1, 11))
def test_only_releases_at_the_edge_are_missing_from_what_is_told(edge: int) -> None:
    def shows(release: str) -> bool | None:
        number = int(release.partition(".")[2])
        return None if number % 3 == 1 else number >= edge

    found = narrowed("1.0", "1.10", RELEASES, shows)
    inside = range(int(found.last.partition(".")[2]) + 1, int(found.first.partition(".")[2]))
    assert found.between == tuple(f"1.{number}" for number in inside)
    assert all(number % 3 == 1 for number in inside)


def test_the_first_release_is_not_called_so_where_one_before_it_could_not_be_asked(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bisecting, "_shows", lambda *given: None)
    assert bisect(monkeypatch) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    told, gap, kind = re.split(r" \(|\): ", last, maxsplit=2)
    assert told == "torch 2.0 is the first to show of those that could be tried, 1.0 does not"
    assert gap == "1.1, 1.2 and 1.10 could not be installed or imported"
    assert kind.startswith("upstream_gradients")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0", "1.1", "1.2a1", "1.2rc1", "1.2", "1.10", "2.0"):
        put(tmp_path, "torch", version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def test_the_releases_between_come_from_good_to_bad(index: None) -> None:
    assert released("torch", "1.0", "2.0", sys.executable) == ["1.1", "1.2", "1.10"]
    assert released("torch", "2.0", "1.1", sys.executable) == ["1.10", "1.2"]
    assert released("torch", "1.1", "1.2rc1", sys.executable) == ["1.2a1"]
    assert released("torch", "1.2rc1", "1.10", sys.executable) == ["1.2"]
    with pytest.raises(GateError, match=r"there is no torch 3; the newest is 2\.0"):
        released("torch", "1.0", "3", sys.executable)


@pytest.fixture
def pair(index: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate of two releases that has something new, with a case of it."""
    (new,) = sample().worse
    change = replace(new, folder="findings/a")

    def decided(old: Side, new: Side, settings: object, report: Path, *given: object) -> Result:
        (report / "findings" / "a").mkdir(parents=True)
        (report / "findings" / "a" / "case.json").write_text(simple_case().to_json())
        return replace(sample(), changes=(change,))

    monkeypatch.setattr(running, "decided", decided)
    monkeypatch.chdir(tmp_path)


def bisect(monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    """The exit code of a bisection."""
    given = ("torch", "--good", "1.0", "--bad", "2.0", *more)
    monkeypatch.setattr(sys, "argv", ["invariants", "bisect", *given])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_the_pair_is_reported_before_the_releases_between_are_asked(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shows(side: Side, *given: object) -> bool:
        assert Path("invariants-gate/report.html").is_file()
        assert "the candidate is worse" in capsys.readouterr().out
        monkeypatch.setattr(bisecting, "_shows", lambda side, *given: side.text > "torch==1.2")
        return True

    monkeypatch.setattr(bisecting, "_shows", shows)
    assert bisect(monkeypatch) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("torch 1.2 is the first to show, 1.1 does not: upstream_gradients")


def test_a_bisection_says_what_it_does_and_that_it_was_interrupted(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bisecting, "_shows", lambda *given: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert bisect(monkeypatch) == 2
    told = capsys.readouterr()
    assert told.err.strip() == "invariants: interrupted"
    assert told.out.startswith("bisecting torch from 1.0 to 2.0: 3 releases between them\n")
    assert result_file.read(Path("invariants-gate")).verdict == "worse"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_bisection_whose_pair_is_interrupted_writes_what_it_knows(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: object) -> None:
        raise running.Interrupted(unjudged(*HEADS, "running"))

    monkeypatch.setattr(running, "decided", interrupted)
    assert bisect(monkeypatch) == 2
    assert capsys.readouterr().err.strip() == "invariants: interrupted"
    assert result_file.read(Path("invariants-gate")).interrupted == "running"


def test_what_did_not_show_again_on_its_own_is_told_and_is_no_all_clear(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "decided", lambda *given: sample())
    assert bisect(monkeypatch) == 2
    told = capsys.readouterr()
    assert "upstream_gradients: it did not show again on its own: run its case" in told.out
    assert "shows nothing" not in told.out
    assert told.err.startswith("invariants: torch 2.0 is worse than 1.0, but nothing of it showed")


def test_what_is_waived_is_not_looked_for(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("waivers.toml").write_text(WAIVED)

    def decided(old: Side, new: Side, settings: running.Settings, *given: object) -> Result:
        assert [waiver.reason for waiver in settings.waivers] == ["we catch it"]
        return replace(sample(), changes=())

    monkeypatch.setattr(running, "decided", decided)
    assert bisect(monkeypatch, "--known-issues", "waivers.toml") == 0
    said = "torch 2.0 shows nothing that 1.0 does not, but for what is waived"
    assert capsys.readouterr().out.splitlines()[-1] == said


def test_a_version_is_one() -> None:
    assert is_version("3.12.0")
    assert not is_version("three")
