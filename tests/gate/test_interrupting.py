"""A gate that is interrupted says what it knows, marked as such, wherever it was."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sample_result import HEADS
from tests_support import simple_case

from invariants.cli import main
from invariants.gate import environments, judgement, recording, reducing, running, writing
from invariants.gate.corpus import Entry
from invariants.gate.environments import Environment, Side
from invariants.gate.errors import GateError
from invariants.report import findings

ENTRIES = [Entry("torch", simple_case())]


class Raising:
    """A place where every program raises at one of its actions."""

    def __init__(self, action: int) -> None:
        self.action = action

    def prepare(self, backend: str) -> None:
        pass

    def versions(self, backend: str, packages: tuple[str, ...]) -> dict[str, str]:
        return dict.fromkeys(packages, "2.13.0")

    def run(self, *given: object) -> list[dict[str, object]]:
        return [{"action": self.action, "error": ("RuntimeError", "so it is"), "frames": []}]

    def refusal(self, backend: str, source: str) -> str:
        return ""

    def close(self) -> None:
        pass


def terminate(*given: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a gate whose two sides have been recorded, up to where it is interrupted."""
    places = [Raising(2), Raising(1)]

    def recorded(*given: object) -> Any:
        sides = [
            recording.written(tmp_path / head.asked, head, ENTRIES, place, lambda: None)
            for head, place in zip(HEADS, places, strict=True)
        ]
        return sides, places

    sides = zip(("baseline", "candidate"), HEADS, strict=True)
    made = [Environment(Side(name, (h.asked,)), h.asked, h.pins) for name, h in sides]
    monkeypatch.setattr(running, "environments_of", lambda *given: made)
    monkeypatch.setattr(environments, "packages", lambda found: {"torch": "2.13.0"})
    monkeypatch.setattr(running, "common", lambda *given: ["torch"])
    monkeypatch.setattr(running, "corpus_of", lambda *given: ENTRIES)
    monkeypatch.setattr(running, "recordings_of", recorded)
    monkeypatch.chdir(tmp_path)

    def run(*more: str) -> dict[str, Any]:
        arguments = ("gate", "--baseline", "current", "--candidate", "torch==2.13.0", *more)
        monkeypatch.setattr(sys, "argv", ["invariants", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        document: dict[str, Any] = json.loads(Path("invariants-gate/result.json").read_text())
        assert "interrupted" in Path("invariants-gate/report.html").read_text()
        return document

    return run


@pytest.mark.parametrize(
    ("place", "what", "part"),
    [
        (running, "environments_of", "making environments"),
        (running, "recordings_of", "running"),
        (judgement, "verdict", "judging"),
        (reducing, "written", "reducing"),
    ],
)
def test_an_end_by_the_system_is_told_with_the_part(
    place: Any, what: str, part: str, gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(place, what, terminate)
    document = gated()
    assert document["interrupted"] == part
    assert document["verdict"] == ("worse" if part == "reducing" else "undecided")
    assert document["candidate"]["asked"].startswith("torch==2.13.0")
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_was_judged_before_is_there(
    gated: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reducing, "written", terminate)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    document = gated()
    said = capsys.readouterr().out.splitlines()
    assert "the same command with --resume goes on behind what has run" in said
    assert sum(line.startswith("::error ") for line in said) >= 2, "what is new, and the end"
    assert [c["status"] for c in document["changes"]].count("new") >= 1
    assert all(change["shown"] and not change["folder"] for change in document["changes"])


def test_a_waiver_of_a_backend_that_was_not_gated_is_not_judged(
    gated: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reducing, "written", terminate)
    entry = """[[waiver]]
        property = "program_runs"
        what = "the learning rate is another one"
        reason = "why"
        expires = 2099-12-31
        """
    entries = [entry + f'backend = "{backend}"\n' for backend in ("torch", "tensorflow")]
    Path("waivers.toml").write_text("".join(entries))
    document = gated("--known-issues", "waivers.toml")
    assert [(w["kind"]["backend"], w["state"]) for w in document["waivers"]] == [("torch", "stale")]
    assert capsys.readouterr().out.count("a waiver is stale") == 1


# --- while cases run ------------------------------------------------------------------------------


MANY = [Entry("torch", replace(simple_case(), seed=n).check()) for n in range(4)]
RECORDINGS_OF = running.recordings_of


class Ending(Raising):
    """A place that is interrupted while it runs its last case, together with the other one."""

    def __init__(self, cases: int, together: Barrier) -> None:
        super().__init__(1)
        self.left, self.together = cases, together

    def run(self, *given: object) -> list[dict[str, object]]:
        self.left -= 1
        if not self.left:
            if self.together.wait(60) == 0:
                terminate()
            time.sleep(2)  # the one who waits for both hears of it first
        return super().run(*given)


@pytest.fixture
def ended(gated: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a gate that is interrupted when so many cases have run on either side."""

    def run(baseline: int, candidate: int, *more: str) -> dict[str, Any]:
        together, heads = Barrier(2), {head.asked: head for head in HEADS}
        ran = dict(zip(heads, (baseline, candidate), strict=True))
        places = {asked: Ending(cases, together) for asked, cases in ran.items()}
        monkeypatch.setattr(running, "recordings_of", RECORDINGS_OF)
        monkeypatch.setattr(running, "corpus_of", lambda *given: MANY)
        monkeypatch.setattr(Environment, "place", lambda self, limit: places[self.python])
        monkeypatch.setattr(recording, "head_of", lambda of, *given: heads[of.python])
        monkeypatch.setattr(recording, "repeats", lambda case: False)
        document: dict[str, Any] = gated(*more)
        return document

    return run


def test_an_interrupted_gate_says_the_versions_and_how_much_has_run(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    document = ended(3, 2)
    assert document["ran"] == {"cases": 4, "baseline": 3, "candidate": 2}
    how_far = "3 of 4 cases have run in the baseline and 2 in the candidate"
    report = Path("invariants-gate/report.md").read_text()
    for said in (report, capsys.readouterr().out):
        assert how_far in said
        assert "torch 2.12.0, Python 3.11.7" in said
        assert "torch 2.13.0, Python 3.11.7" in said


def test_what_is_resumed_is_told_with_how_much_is_taken_over(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(3, 1)
    assert "resuming" not in capsys.readouterr().out
    document = ended(1, 2, "--resume")
    assert document["ran"] == {"cases": 4, "baseline": 4, "candidate": 3}
    said = capsys.readouterr().out.splitlines()
    for name, cases in (("baseline", 3), ("candidate", 1)):
        file = f"invariants-gate/{name}.recording"
        assert f"{name}: resuming, {cases} of 4 cases are taken from {file}" in said


def full(path: Path, *given: Any) -> Any:
    """Writes half of the head of a recording, which is all that there is room for."""
    path.write_bytes(b"FIW1")
    raise GateError(f"cannot write to {path}: No space left on device")


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_a_full_disk_leaves_no_recording_in_which_nothing_has_run(
    resume: tuple[str, ...], ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = recording.written

    def half_full(path: Path, *given: Any) -> Any:
        return (full if path.stem == "candidate" else written)(path, *given)

    monkeypatch.setattr(recording, "written", half_full)
    with pytest.raises(FileNotFoundError):  # there is no result either
        ended(9, 9, *resume)
    assert Path("invariants-gate/baseline.recording").stat().st_size
    assert not Path("invariants-gate/candidate.recording").exists()


def test_what_has_run_before_stays_where_a_disk_is_full(
    ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(3, 1)
    old = Path("invariants-gate/candidate.recording").read_bytes()

    def no_room(path: Path, *given: Any) -> None:
        raise GateError(f"cannot write to {path}: No space left on device")

    monkeypatch.setattr(recording, "written", no_room)
    with pytest.raises(FileNotFoundError):
        ended(9, 9, "--resume")
    assert Path("invariants-gate/candidate.recording").read_bytes() == old


def test_a_gate_that_is_interrupted_before_it_runs_says_what_was_resolved(
    gated: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "corpus_of", terminate)
    assert gated()["interrupted"] == "making environments"
    said = capsys.readouterr().out.splitlines()
    assert "baseline (torch==2.12.0): torch 2.12.0" in said
    assert "candidate (torch==2.13.0): torch 2.13.0" in said


def test_a_gate_that_is_interrupted_while_it_judges_says_how_much_is_judged(
    gated: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judgement, "verdict", terminate)
    gated()
    assert "interrupted while judging, 0 of 1 cases are judged" in capsys.readouterr().out


# --- where there is no room -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "what"), [(findings, "write"), (reducing, "named"), (writing, "written")]
)
def test_a_finding_or_report_that_cannot_be_written_is_one_line(
    place: Any,
    what: str,
    gated: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(place, what, full)
    arguments = ("gate", "--baseline", "current", "--candidate", "torch==2.13.0")
    monkeypatch.setattr(sys, "argv", ["invariants", *arguments, "--reduce-seconds", "0"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    said = "invariants: cannot write to invariants-gate: No space left on device\n"
    assert capsys.readouterr().err == said
    assert recording.read(Path("torch==2.13.0")).records, "what has run is there"
