"""A result file is checked whole before anything is made of it, and its schema is published."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from sample_result import AWKWARD, GRADIENT, HEADS, sample

from invariants.gate import command, result_file
from invariants.gate.errors import GateError
from invariants.gate.result import unjudged
from invariants.gate.result_file import text
from invariants.gate.writing import written

SCHEMA = json.loads(Path("docs/result.schema.json").read_text())

UNJUDGED = unjudged(*HEADS, "running")
RESULTS = {
    "worse": sample(),
    "interrupted": replace(sample(), interrupted="judging"),
    "unjudged": UNJUDGED,
}


def test_the_published_schema_is_that_of_the_models() -> None:
    assert json.loads(json.dumps(result_file.schema())) == SCHEMA, (
        "python -m invariants.gate.result_file > docs/result.schema.json"
    )


@pytest.mark.parametrize("which", RESULTS)
def test_a_result_keeps_to_the_schema(which: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(text(RESULTS[which])), SCHEMA)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text(sample()))
    read = result_file.read(tmp_path)
    assert read == result_file.read(tmp_path / "result.json")
    assert text(read) == text(sample())
    statuses = {change.kind.rule: change.status for change in read.changes}
    assert statuses["upstream_gradients"] == statuses["program_runs"] == "new"
    assert statuses["frozen_weights"] == "gone"
    assert [change.kind.property_ for change in read.worse] == ["upstream_gradients"]


def test_what_shows_a_change_is_a_whole_case_with_its_script() -> None:
    (change,) = result_file.parsed(text(sample())).worse
    assert change.shown is not None
    case = change.shown.read()
    assert case is not None
    assert f"torch-{case.name}" in change.decisive
    assert change.shown.finding == GRADIENT
    assert GRADIENT.message in change.shown.repro
    assert "torch 2.13.0" in change.shown.repro, "the version that shows it, not the one here"


@pytest.mark.parametrize(
    ("interrupted", "verdict"),
    [("", "worse"), ("running", "undecided"), ("judging", "undecided"), ("reducing", "worse")],
)
def test_what_was_not_judged_whole_is_undecided(interrupted: str, verdict: str) -> None:
    assert replace(sample(), interrupted=interrupted).verdict == verdict


def damaged(**change: object) -> str:
    return json.dumps({**json.loads(text(sample())), **change})


def without(name: str) -> str:
    return json.dumps({n: value for n, value in json.loads(text(sample())).items() if n != name})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "not the result of a gate"),
        ("{}", "not the result of a gate"),
        (damaged(schema=1), "this version reads schema 2, the file has 1"),
        (damaged(verdict="no worse"), "verdict: it says 'no worse', what it rests on 'worse'"),
        (damaged(seed="0"), "seed: should be a valid integer"),
        (without("matrix"), "matrix: is missing"),
        (damaged(more=1), "more: there is no such field"),
        (damaged(changes=[{}]), "changes.0.kind: is missing"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_a_line(
    content: str | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(GateError) as raised:
        result_file.read(tmp_path / "result.json")
    assert words in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "result.json"))
    assert "\n" not in str(raised.value)


def test_a_case_of_another_version_is_no_case_but_no_error() -> None:
    document = json.loads(text(sample()))
    for change in document["changes"]:
        change["shown"]["case"]["schema"] = 99
    (change,) = result_file.parsed(json.dumps(document)).worse
    assert change.shown is not None
    assert change.shown.read() is None


def full(path: Path, text: str, encoding: str, errors: str) -> int:
    """Writes half of what does not fit any more."""
    path.write_bytes(text[: len(text) // 2].encode(encoding, errors))
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_files_that_were_there_and_no_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "result.json", tmp_path / "report.md"
    written({old: "old"})
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        written({old: "newer", new: "new"})
    assert [*tmp_path.iterdir()] == [old]
    assert old.read_text() == "old"


def test_a_gate_on_a_full_disk_is_one_line_and_leaves_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(GateError, match=f"cannot write to {tmp_path}: No space left on device"):
        command._told(sample(), 0.0, tmp_path, command._watcher())
    assert not [*tmp_path.iterdir()]


def test_awkward_words_are_kept() -> None:
    (change,) = [c for c in sample().changes if c.kind.property_ == "program_runs"]
    assert AWKWARD in change.example
