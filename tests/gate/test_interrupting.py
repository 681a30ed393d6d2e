"""A gate that is interrupted says what it knows, marked as such, wherever it was."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from sample_result import HEADS
from tests_support import simple_case

from invariants.cli import main
from invariants.gate import judgement, recording, reducing, running
from invariants.gate.corpus import Entry

ENTRIES = [Entry("torch", simple_case())]


class Raising:
    """A place where every program raises at one of its actions."""

    def __init__(self, action: int) -> None:
        self.action = action

    def prepare(self, backend: str) -> None:
        pass

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

    monkeypatch.setattr(running, "environments_of", lambda *given: [])
    monkeypatch.setattr(running, "common", lambda *given: ["torch"])
    monkeypatch.setattr(running, "corpus_of", lambda *given: ENTRIES)
    monkeypatch.setattr(running, "recordings_of", recorded)
    monkeypatch.chdir(tmp_path)

    def run() -> dict[str, Any]:
        arguments = ("gate", "--baseline", "current", "--candidate", "torch==2.13.0")
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
