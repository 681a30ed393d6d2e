"""A gate judges in several processes, and what it says does not tell."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sample_result import HEADS
from tests_support import simple_case

from invariants.backends.places import HERE
from invariants.gate import judgement, judging, recording
from invariants.gate.corpus import Entry
from invariants.gate.errors import GateError
from invariants.gate.recording import Recording

ENTRIES = [Entry("torch", replace(simple_case(), seed=n).check()) for n in range(4)]
NAMES = ("baseline.recording", "candidate.recording")


class Nobody:
    """Who hears nothing."""

    def say(self, line: str) -> None:
        pass

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        return nullcontext(lambda: None)


@pytest.fixture
def sides(tmp_path: Path) -> list[Recording]:
    """What both did; the candidate could not run the last action of one case."""
    before, after = (
        recording.written(tmp_path / name, head, ENTRIES, HERE, lambda: None)
        for name, head in zip(NAMES, HEADS, strict=True)
    )
    first, *others = after.records
    return [before, replace(after, records=(replace(first, points=first.points[:-1]), *others))]


def test_who_judges_changes_nothing(
    sides: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = judgement.judgement(sides, NAMES, Nobody())
    monkeypatch.setattr(judgement, "_SHARE", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    shared = judgement.judgement(sides, NAMES, Nobody())
    assert shared.whole
    assert alone.whole
    assert shared.pairs == alone.pairs
    assert shared.pairs[0][1].findings, "one that differs"
    assert shared.drifts.rows == alone.drifts.rows
    assert shared.errors.rows == alone.errors.rows


#: What an exception says in some run, and in another one of another installation.
SAID = tuple(
    f'in user code: File "<case {n}>", line 23, in step * File "{site}/site-packages/keras/a.py", '
    f"line 5: <case_{n}.Net object at 0x7f20ec3a5d0{n}> in {temporary}/m.h5"
    for n, site, temporary in (
        (6, "/opt/a b/lib/python3.11", "/tmp/tmpab1c_2d3"),
        (8, "/opt", "/var/tmp/tmpxyz00_00"),
    )
)


@pytest.mark.parametrize("point", ["error", "warnings"])
def test_what_an_exception_says_is_the_same_in_every_run_and_installation(point: str) -> None:
    said = []
    for text in SAID:
        told = {"error": ("RuntimeError", text), "frames": []}
        if point == "warnings":
            told = {"warnings": [("UserWarning", text)]}
        record = recording.Record(ENTRIES[0], [{"action": 2, **told}])
        findings = judging.judged(record, judging.verdict(record, HEADS[0], "")).findings
        said += [str(f.got) for f in findings if f.action == 2 and "user code" in str(f.got)]
    first, other = said
    assert first == other
    assert first.partition(": ")[2] == (
        'in user code: File "<case>", line 23, in step * File "keras/a.py", '
        "line 5: <case.Net object at 0x…> in tmp/m.h5"
    )


def test_what_an_exception_says_can_be_written() -> None:
    told = {"error": ("RuntimeError", "in \udc80.h5"), "frames": []}
    record = recording.Record(ENTRIES[0], [{"action": 2, **told}])
    findings = judging.judged(record, judging.verdict(record, HEADS[0], "")).findings
    assert r"RuntimeError: in \udc80.h5" in {finding.got for finding in findings}


class Interrupting(Nobody):
    """Who has had enough of the first case."""

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        return nullcontext(self.interrupt)

    def interrupt(self) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_ends_all_who_judge_and_keeps_what_they_have_said(
    sides: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgement, "_SHARE", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    held = judgement.judgement(sides, NAMES, Interrupting())
    assert not held.whole
    assert [before.entry for before, _ in held.pairs] == ENTRIES[:1]
    assert not multiprocessing.active_children()


@dataclass(frozen=True)
class Fatal:
    """What ends the process that reads it."""

    def __reduce__(self) -> Any:
        return os._exit, (1,)


def test_a_process_that_is_ended_while_it_judges_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judgement, "_SHARE", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(GateError, match=r"a process that judged was ended, .*; --resume judges"):
        [*judgement._judged([Fatal(), Fatal()])]  # type: ignore[list-item]
