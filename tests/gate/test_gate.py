"""Two environments, one corpus: worse is refused, better passes, and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from patched import environment
from rich.console import Console
from sample_result import sample
from tests_support import BLOCKING, simple_case

from invariants.backends import wire
from invariants.backends.places import HERE
from invariants.cli import main
from invariants.gate import corpus, folder, recording, running
from invariants.gate.command import Progress
from invariants.gate.corpus import Entry
from invariants.gate.environments import Environment, Installed, Side
from invariants.gate.errors import GateError
from invariants.gate.recording import Head
from invariants.optimizer import Adam
from invariants.report import formats

ABORTING = """
import os
import torch

torch.optim.Adam.step = lambda self, closure=None: os.abort()
"""


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("environments")
    patches = {"sound": "", "blocking": BLOCKING, "aborting": ABORTING}
    return {name: environment(folder / name, patch) for name, patch in patches.items()}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for number, case in enumerate(CASES):
        (folder / f"{number}.json").write_text(case.to_json())
    return folder


CASES = (simple_case(), replace(simple_case(), optimizer=Adam()).check())


def run(*arguments: object, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of `invariants ...` in this process."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["invariants", *map(str, arguments)])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def result(folder: Path) -> dict:  # type: ignore[type-arg]
    document: dict = json.loads((folder / "result.json").read_text())  # type: ignore[type-arg]
    del document["seconds"]
    return document


def folders(document: dict) -> set[str]:  # type: ignore[type-arg]
    """The names of the folders of its findings."""
    return {Path(change["folder"]).name for change in document["changes"] if change["folder"]}


def exit_code(python: Path, script: Path) -> int:
    return subprocess.run([python, script], capture_output=True).returncode


def test_worse_is_refused_and_better_passes(
    sides: dict[str, Path],
    cases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ("--backend", "torch", "--corpus", cases, "--reduce-seconds", 10)
    sound, blocking = sides["sound"], sides["blocking"]

    def gate(*arguments: object) -> int:
        return run("gate", *arguments, *common, cwd=tmp_path, monkeypatch=monkeypatch)

    assert gate("--baseline", sound, "--candidate", blocking, "--report", "a") == 1
    said = capsys.readouterr().out
    assert "the candidate is worse: " in said
    found = result(tmp_path / "a")
    new = [change for change in found["changes"] if change["status"] == "new"]
    assert "upstream_gradients" in {change["kind"]["property"] for change in new}
    for change in new:
        written = tmp_path / "a" / change["folder"]
        case = json.loads((written / "case.json").read_text())
        assert len(case["architecture"]["network"]["members"]) <= 3
        assert len(case["program"]) <= 4
        assert exit_code(blocking, written / "repro.py") == 1
        assert exit_code(sound, written / "repro.py") == 0
        assert str(written.relative_to(tmp_path)) in said
        assert change["shown"]["repro"] == (written / "repro.py").read_text()
        assert change["shown"]["case"] == case

    # What is judged is the same again; how far a case is reduced is a matter of time.
    before = result(tmp_path / "a")
    recorded = (tmp_path / "a" / "candidate.recording").read_bytes()
    (tmp_path / "a" / "candidate.recording").write_bytes(recorded[:-200])  # killed while it wrote
    stale = tmp_path / "a" / "findings" / "stale"
    folder.named(tmp_path / "a", stale.name)
    stale.mkdir()
    again = ("--baseline", sound, "--candidate", blocking, "--report", "a", "--resume")
    assert gate(*again, "--reduce-seconds", 0) == 1
    after = result(tmp_path / "a")
    left = {path.name for path in (tmp_path / "a" / "findings").iterdir()}
    assert left == folders(after), "none of the earlier gate"
    for change in (*before["changes"], *after["changes"]):
        del change["folder"]
    assert after == before
    assert (tmp_path / "a" / "candidate.recording").read_bytes() == recorded

    # Backwards, against what was recorded before.
    file = tmp_path / "a" / "candidate.recording"
    assert gate("--baseline", file, "--candidate", sound, "--report", "b") == 0
    assert "the candidate is no worse: " in capsys.readouterr().out
    assert {c["status"] for c in result(tmp_path / "b")["changes"]} == {"gone"}
    assert not (tmp_path / "b" / "findings").exists()


@pytest.mark.parametrize("other", ["findings/a/notes.txt", "findings/b/case.json", "findings/c"])
def test_what_is_not_of_a_gate_among_its_findings_is_named_and_left_alone(
    other: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "report"
    folder.named(report, "a")
    for path in (report / "findings" / "a" / "case.json", report / other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    arguments = ("gate", "--baseline", "current", "--candidate", "torch==2.13.0")
    code = run(*arguments, "--report", report, cwd=tmp_path, monkeypatch=monkeypatch)
    assert code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"invariants: {report / 'findings'}/")
    assert f"{report / other}".startswith(said.split()[1])
    assert "is not of a gate: name another folder with --report" in said
    assert (report / other).is_file()
    assert (report / "findings" / "a" / "case.json").is_file()


def test_a_gate_that_cannot_be_decided_leaves_no_verdict_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "environments_of", made)
    told = [tmp_path / "result.json", *formats.files(sample(), tmp_path)]
    kept = [tmp_path / "candidate.recording", tmp_path / "notes.txt"]
    for path in (*told, *kept):
        path.write_text("worse")
    arguments = ("--baseline", "current", "--candidate", "torch==2.13.0", "--report", tmp_path)
    assert run("gate", *arguments, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    assert sorted(tmp_path.iterdir()) == kept


def test_what_a_killed_gate_has_left_goes(tmp_path: Path) -> None:
    folder.named(tmp_path, "a")
    (tmp_path / "findings" / "a").mkdir(parents=True)
    (tmp_path / "findings" / "a" / "case.json").write_text("{}")
    folder.cleared(tmp_path)
    assert not [*(tmp_path / "findings").iterdir()]
    folder.cleared(tmp_path)


def test_a_crash_in_the_candidate_is_new_and_the_other_cases_are_judged(
    sides: dict[str, Path],
    cases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = run(
        *("gate", "--baseline", "current", "--candidate", sides["aborting"]),
        *("--backend", "torch", "--corpus", cases, "--reduce-seconds", 0),
        cwd=tmp_path,
        monkeypatch=monkeypatch,
    )
    assert code == 1
    found = result(tmp_path / "invariants-gate")
    assert found["counts"]["torch"]["died"] == [0, 1]
    (new,) = [change for change in found["changes"] if change["status"] == "new"]
    assert new["example"] == "expected nothing raised, got Crashed: SIGABRT"
    assert found["drift"], "what did not crash is compared"


BAD = {
    "no Python but a program": (
        ("--baseline", "current", "--candidate", "/bin/true"),
        "--candidate: /bin/true does not answer as a Python does (exit code 0)",
    ),
    "a program that prints what it is given": (
        ("--baseline", "current", "--candidate", "/bin/echo"),
        "--candidate: /bin/echo does not answer as a Python does (exit code 0)",
    ),
    "a shell": (
        ("--baseline", "current", "--candidate", "/bin/sh"),
        "--candidate: /bin/sh does not answer as a Python does (exit code 2: ",
    ),
    "no such recording": (
        ("--baseline", "old.recording", "--candidate", "current"),
        "--baseline: there is no file old.recording",
    ),
    "no such recording in a folder": (
        ("--baseline", "a/old.recording", "--candidate", "current"),
        "--baseline: there is no file a/old.recording",
    ),
    "an empty file": (
        ("--baseline", "empty_file", "--candidate", "current"),
        "--baseline: empty_file is no recording as invariants record writes them",
    ),
    "a recording among requirements": (
        ("--baseline", "numpy", "empty_file", "--candidate", "current"),
        "--baseline: empty_file is a file: a recording may be the baseline of a gate, alone",
    ),
    "a recording as a candidate": (
        ("--baseline", "current", "--candidate", "empty_file"),
        "--candidate: empty_file is a file: a recording may be the baseline of a gate, alone",
    ),
    "no candidate": (("--baseline", "current"), "Missing option '--candidate'"),
    "nothing behind an option": (
        ("--baseline", "--candidate", "current"),
        "Option '--baseline' requires an argument",
    ),
    "no requirement": (("--baseline", "torch=1", "--candidate", "current"), "is no requirement"),
    "the same twice": (("--baseline", "current", "--candidate", "current"), "are the same env"),
    "an unknown backend": (
        ("--baseline", "current", "--candidate", "x", "--backend", "jax"),
        "unknown backend 'jax'",
    ),
    "an unknown mode": (
        ("--baseline", "current", "--candidate", "x", "--mode", "fast"),
        "unknown mode 'fast'",
    ),
    "no Python": (("--baseline", "/no/python", "--candidate", "current"), "no Python at"),
    "a Python without frameworks": (("--baseline", "current", "--candidate", "EMPTY"), "none"),
    "no waivers": (
        ("--baseline", "current", "--candidate", "x", "--known-issues", "no.toml"),
        "--known-issues no.toml: No such file",
    ),
    "a report that cannot be written": (
        ("--baseline", "current", "--candidate", "EMPTY", "--report", "/proc/x"),
        "cannot write to /proc/x",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_line_and_exit_2(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, words = BAD[what]
    if "EMPTY" in arguments:
        command = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")]
        subprocess.run(command, check=True)
    given = [str(tmp_path / "empty") if a == "EMPTY" else a for a in arguments]
    (tmp_path / "empty_file").write_bytes(b"")
    assert run("gate", *given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1


# --- the corpus -----------------------------------------------------------------------------------


def made(*given: object) -> None:
    """In the place of what makes environments: what is tried without them ends there."""
    raise GateError("an environment was made")


def silent(line: str) -> None:
    raise AssertionError(line)


def test_the_same_seed_draws_the_same_corpus() -> None:
    first, second, other = (corpus.drawn(["torch"], 12, seed, ["eager"]) for seed in (3, 3, 4))
    assert [entry.name for entry in first] == [entry.name for entry in second]
    assert {entry.name for entry in first} != {entry.name for entry in other}
    pinned = corpus.pinned(["torch"], ["eager"])
    assert first[: len(pinned)] == pinned
    assert len({entry.name for entry in first[len(pinned) :]}) == 12
    assert {e.case.realisations["torch"].mode for e in first} == {"eager"}


def test_a_folder_of_findings_is_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "findings" / "a").mkdir(parents=True)
    (tmp_path / "findings" / "a" / "case.json").write_text(simple_case().to_json())
    (tmp_path / "findings" / "a" / "repro.py").write_text("raise SystemExit")
    entries = corpus.read(tmp_path).on(["torch", "tensorflow"], silent)
    assert [entry.backend for entry in entries] == ["torch", "tensorflow"]


def test_a_corpus_goes_on_where_a_backend_lacks_what_a_case_asks_for(tmp_path: Path) -> None:
    document = {**simple_case().document, "groups": {"dense_0": 0.25}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    (tmp_path / "b.json").write_text(simple_case().to_json())
    told: list[str] = []
    entries = corpus.read(tmp_path).on(["torch", "tensorflow"], told.append)
    assert [(entry.backend, bool(entry.case.groups)) for entry in entries] == [
        ("torch", True),
        ("torch", False),
        ("tensorflow", False),
    ]
    assert told == [
        f"unsupported: {tmp_path / 'a.json'} on tensorflow: groups: An optimizer of Keras has one "
        "learning rate for all of its variables."
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", "a.json: not JSON"),
        ("notes.txt", "hello", "notes.txt: not JSON"),
        ("b.json", '{"schema": 1}', "b.json: schema: this version reads"),
        (None, "", "has no case for torch"),
    ],
)
def test_a_file_that_is_no_case_is_named(
    name: str | None, text: str, words: str, tmp_path: Path
) -> None:
    if name:
        (tmp_path / "case.json").write_text(simple_case().to_json())
        (tmp_path / name).write_text(text)
    with pytest.raises(GateError) as raised:
        corpus.read(tmp_path).on(["torch"], silent)
    assert words in str(raised.value)


@pytest.mark.parametrize("command", ["gate", "record"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no folder corpus"),
        ("hello", "corpus/a.json: not JSON"),
        ("", "corpus/a.json: not JSON"),
    ],
)
def test_a_corpus_is_read_before_an_environment_is_made(
    command: str,
    content: str | None,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(running, "environments_of", made)
    if content is not None:
        (tmp_path / "corpus").mkdir()
        (tmp_path / "corpus" / "a.json").write_text(content)
    sides = {
        "gate": ("--baseline", "torch==2.12.0", "--candidate", "torch==2.13.0"),
        "record": ("-o", "a", "torch==2.12.0"),
    }
    given = (command, *sides[command], "--corpus", "corpus")
    assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("invariants: --corpus: ")
    assert words in said


# --- recordings -----------------------------------------------------------------------------------

HEAD = Head("torch==2.13.0", "3.11.7", {"torch": {"torch": "2.13.0"}}, ("torch==2.13.0",), "Linux")
ENTRIES = [Entry("torch", case) for case in CASES]


HERE_TOO = Environment(Side("candidate", python=sys.executable, own=True), sys.executable)


def nobody() -> None:
    pass


def recorded(path: Path) -> recording.Recording:
    return recording.written(path, HEAD, ENTRIES, HERE, nobody)


@pytest.mark.parametrize("option", [("--corpus", "corpus"), ("--mode", "eager")])
def test_a_recorded_baseline_brings_its_own_cases(
    option: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(running, "environments_of", made)
    recorded(tmp_path / "old.recording")
    given = ("gate", "--baseline", "old.recording", "--candidate", "current", *option)
    assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = f"{option[0]} is of no effect: the cases are those of old.recording"
    assert said in capsys.readouterr().out


def test_of_a_recording_of_two_backends_one_may_be_gated_and_no_third(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {**HEAD.packages, "tensorflow": {"tensorflow": "2.21.0", "keras": "3.15.1"}}
    head = replace(HEAD, packages=both)
    recording.written(tmp_path / "old.recording", head, ENTRIES, HERE, nobody)
    given = ("--baseline", "old.recording", "--candidate", "current", "--backend", "torch")
    assert run("gate", *given, cwd=tmp_path, monkeypatch=monkeypatch) == 0
    other = (*given[:-1], "tensorflow", "--report", "other")
    recorded(tmp_path / "old.recording")
    assert run("gate", *other, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert said == "invariants: --baseline: tensorflow was not recorded of torch==2.13.0\n"
    assert list(result(tmp_path / "invariants-gate")["baseline"]["packages"]) == ["torch"]


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = recorded(tmp_path / "a")
    read = recording.read(tmp_path / "a")
    assert recording.is_recording(tmp_path / "a")
    assert read.head == HEAD
    assert [r.entry for r in read.records] == ENTRIES
    for mine, theirs in zip(written.records, read.records, strict=True):
        assert recording._message(mine) == recording._message(theirs)


def test_a_damaged_recording_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for damaged in (whole[:-1], whole[:400] + b"?" + whole[401:], whole[:3], b"PK" + whole):
        (tmp_path / "b").write_bytes(damaged)
        with pytest.raises(GateError, match=r"b is (damaged|no recording)"):
            recording.read(tmp_path / "b")


def messages(path: Path) -> list[bytes]:
    """The parts of a recording: its head, its cases, its end."""
    with path.open("rb") as file:
        return [*iter(lambda: wire.read(file) or b"", b"")]


def test_a_recording_that_was_not_finished_is_no_baseline_and_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "environments_of", made)
    recorded(tmp_path / "whole")
    head, *cases, end = messages(tmp_path / "whole")
    given = ("gate", "--baseline", "cut", "--candidate", "current")
    for left in ([head], [head, *cases[:1]], [head, *cases]):
        (tmp_path / "cut").write_bytes(b"".join(left))
        assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
        said = capsys.readouterr().err
        assert said == "invariants: cut was not finished: record it again\n"
        done = recording.continued(tmp_path / "cut", HEAD, ENTRIES)
        assert [record.entry for record in done] == ENTRIES[: len(left) - 1]
        recording.written(tmp_path / "cut", HEAD, ENTRIES, HERE, nobody, done)
        assert messages(tmp_path / "cut") == [head, *cases, end]
    done = recording.continued(tmp_path / "whole", HEAD, ENTRIES)
    recording.written(tmp_path / "whole", HEAD, ENTRIES, HERE, nobody, done)
    assert messages(tmp_path / "whole") == [head, *cases, end]


def test_a_recording_with_other_cases_than_were_written_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path / "a")
    head, first, second, end = messages(tmp_path / "a")
    unknown = wire.packed({**wire.unpacked(first), "backend": "jax"})
    for parts, words in (
        ([head, first, end], "it says 2 cases and has others"),
        ([head, first, second, end, end], "it says 2 cases and has others"),
        ([head, first, second, second, end], "twice"),
        ([head, unknown, second, end], "an unknown backend 'jax'"),
    ):
        (tmp_path / "b").write_bytes(b"".join(parts))
        with pytest.raises(GateError, match=f"b is damaged: .*{words}"):
            recording.read(tmp_path / "b")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("packages", {"torch": 5}, "packages.torch: "),
        ("packages", [1], "packages: "),
        ("packages", {"jax": {"jax": "1"}}, "'jax' with other packages"),
        ("packages", {"torch": {"torch": "not.a.version!"}}, "Invalid version: 'not.a.version!'"),
        ("pins", "torch", "pins: "),
        ("more", 1, "more: there is no such field"),
    ],
)
def test_a_recording_whose_head_is_of_other_types_is_refused(
    field: str, value: object, words: str, tmp_path: Path
) -> None:
    recorded(tmp_path / "a")
    head, *others = messages(tmp_path / "a")
    other = wire.packed({**wire.unpacked(head), field: value})
    (tmp_path / "a").write_bytes(b"".join([other, *others]))
    with pytest.raises(GateError, match=f"a is damaged: its head: {words}"):
        recording.read(tmp_path / "a")


@pytest.mark.parametrize(("field", "value"), [("points", [1]), ("again", "x"), ("lacks", 0)])
def test_a_recording_whose_case_is_of_other_types_is_refused(
    field: str, value: object, tmp_path: Path
) -> None:
    recorded(tmp_path / "a")
    head, first, *others = messages(tmp_path / "a")
    other = wire.packed({**wire.unpacked(first), field: value})
    (tmp_path / "a").write_bytes(b"".join([head, other, *others]))
    with pytest.raises(GateError, match=r"a is damaged: its case torch-\w+ does not fit"):
        recording.read(tmp_path / "a")


def test_of_no_case_there_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = [recording.Record(entry, [], None, "no such mode") for entry in ENTRIES]
    side = recording.Recording(HEAD, tuple(lacking))
    told = Console(file=StringIO())
    with pytest.raises(GateError, match="none of 2 cases could be judged on both sides"):
        running.compared_sides([side, side], ["a", "b"], 0, (), Progress(told))
    recording.written(tmp_path / "a", HEAD, [], HERE, nobody)
    monkeypatch.setattr(running, "environments_of", lambda sides, *given: [HERE_TOO])
    given = ("gate", "--baseline", "a", "--candidate", "current")
    assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    assert (
        capsys.readouterr().err == "invariants: --baseline torch==2.13.0: no case of torch in it\n"
    )
    modes = running.Settings(modes=("eager",))
    with pytest.raises(GateError, match="eager is no mode of tensorflow"):
        running.corpus_of(None, ["tensorflow"], modes, Progress(told), [{}, {}])


def test_a_recording_of_another_schema_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SCHEMA", 99)
    recorded(tmp_path / "a")
    monkeypatch.undo()
    with pytest.raises(GateError, match="another version of invariants: record it anew"):
        recording.read(tmp_path / "a")


def test_a_recording_goes_on_in_the_same_environment_alone(tmp_path: Path) -> None:
    recorded(tmp_path / "a")
    other = replace(HEAD, python="3.12.0")
    with pytest.raises(GateError, match=r"of torch==2.13.0 in another environment"):
        recording.continued(tmp_path / "a", other, ENTRIES)
    with pytest.raises(GateError, match="of another corpus"):
        recording.continued(tmp_path / "a", HEAD, ENTRIES[1:])


@pytest.mark.parametrize("baseline", ["report/candidate.recording", "link"])
def test_a_recorded_baseline_is_not_written_over(
    baseline: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(running, "environments_of", made)
    (tmp_path / "report").mkdir()
    recorded(tmp_path / "report" / "candidate.recording")
    (tmp_path / "link").symlink_to("report/candidate.recording")
    before = (tmp_path / "link").read_bytes()
    given = ("gate", "--baseline", baseline, "--candidate", "current", "--report", "report")
    assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = f"--baseline {baseline} is where the gate writes: name another folder with --report"
    assert capsys.readouterr().err == f"invariants: {said}\n"
    assert (tmp_path / "link").read_bytes() == before


INSTALLED = Installed("/here", "3.11.7", {"torch": "2.13.0"})


@pytest.mark.parametrize(
    ("pins", "installed", "same"),
    [
        ((), INSTALLED, True),
        (HEAD.pins, replace(INSTALLED, prefix="/there"), True),
        ((), replace(INSTALLED, packages={"torch": ""}), True),
        ((), replace(INSTALLED, prefix="/there"), False),
        ((), replace(INSTALLED, version="3.12.0"), False),
        ((), replace(INSTALLED, packages={"torch": "2.14.0"}), False),
        (HEAD.pins, None, False),
    ],
)
def test_a_recording_is_not_compared_with_the_very_environment_that_it_is_of(
    pins: tuple[str, ...],
    installed: Installed | None,
    same: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head = replace(HEAD, system=platform.platform())
    recording.written(tmp_path / "a", head, ENTRIES[:1], HERE, nobody, (), "/here")
    candidate = Environment(Side("candidate"), sys.executable, pins, installed)
    monkeypatch.setattr(running, "environments_of", lambda *given: [candidate])
    monkeypatch.setattr(running, "common", made)  # what comes behind it
    given = ("gate", "--baseline", "a", "--candidate", "current")
    assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert ("are the same environment" in said) == same
    assert ("an environment was made" in said) != same


@pytest.mark.parametrize(
    ("schema", "end", "words"),
    [
        (99, None, "was recorded by another version of invariants"),
        (recording.SCHEMA, 20, "is damaged"),
    ],
)
def test_a_recording_that_cannot_be_gone_on_with_is_told_and_kept(
    schema: int, end: int | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SCHEMA", schema)
    recorded(tmp_path / "a")
    monkeypatch.undo()
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:end])
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(GateError, match=rf"--resume: .*a {words}.*; without --resume the gate st"):
        recording.continued(tmp_path / "a", HEAD, ENTRIES)
    assert (tmp_path / "a").read_bytes() == before


def test_a_recording_in_which_nothing_stands_yet_is_begun(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert recording.continued(tmp_path / "a", HEAD, ENTRIES) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_regular_file_is_not_recorded_over(
    make: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "a")
    before = (tmp_path / "a").stat()
    assert run("record", "-o", "a", cwd=tmp_path, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "invariants: cannot write to a: it is no regular file\n"
    assert (tmp_path / "a").stat().st_ino == before.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_recording_is_written_beside_what_is_there(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "y.rec.partial").write_text("of the user")
    written = recording.written
    others = []

    def beside(path: Path, *given: object) -> recording.Recording:
        others.append(path)
        return written(path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "written", beside)
    given = ("record", "-o", "y.rec", "--backend", "torch", "--corpus", cases)
    for _ in range(2):
        assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 0
    assert len({*others}) == 2, "two runs are not in one another's way"
    assert len(recording.read(tmp_path / "y.rec").records) == len(CASES)
    assert (tmp_path / "y.rec.partial").read_text() == "of the user"
    assert {path.name for path in tmp_path.iterdir()} == {"y.rec", "y.rec.partial"}


def test_a_recording_for_which_there_is_no_folder_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "environments_of", made)
    assert run("record", "-o", "no/y.rec", cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert said == "invariants: cannot write to no/y.rec: there is no folder no\n"


def test_a_recording_without_room_is_named_as_it_was_asked_for(
    cases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(path: Path, *given: object) -> None:
        raise GateError(f"cannot write to {path}: No space left on device")

    monkeypatch.setattr(recording, "written", full)
    given = ("record", "-o", "y.rec", "--backend", "torch", "--corpus", cases)
    assert run(*given, cwd=tmp_path, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert said == "invariants: cannot write to y.rec: No space left on device\n"
    assert not [*tmp_path.iterdir()]


class Dying:
    """A place where the first so many cases end their process."""

    def __init__(self, cases: int) -> None:
        self.left = cases

    def prepare(self, backend: str) -> None:
        pass

    def versions(self, backend: str, packages: tuple[str, ...]) -> dict[str, str]:
        return {}

    def run(self, *given: object) -> list[dict[str, object]]:
        self.left -= 1
        error = ("Crashed", "SIGSEGV") if self.left >= 0 else ("RuntimeError", "so it is")
        return [{"action": 0, "error": error, "frames": []}]

    def refusal(self, backend: str, source: str) -> str:
        return ""


@pytest.mark.parametrize(("cases", "dying"), [(30, 16), (3, 2), (1, 1)])
def test_a_side_is_given_up_once_more_than_half_of_all_cases_have_crashed(
    cases: int, dying: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "repeats", lambda case: False)
    many = [Entry("torch", replace(simple_case(), seed=n).check()) for n in range(cases)]
    whole = recording.written(tmp_path / "a", HEAD, many, Dying(dying - 1), nobody)
    assert len(whole.records) == cases, "the first half may crash"
    words = f"{dying} of {cases} cases ended their process, the first with Crashed: SIGSEGV"
    with pytest.raises(GateError, match=words):
        recording.written(tmp_path / "a", HEAD, many, Dying(cases), nobody)
    left = recording.continued(tmp_path / "a", HEAD, many)
    assert len(left) == dying, "what was recorded is there"
    with pytest.raises(GateError, match=words):
        recording.written(tmp_path / "a", HEAD, many, Dying(0), nobody, left)


def test_a_recorded_baseline_most_of_whose_cases_crashed_says_nothing() -> None:
    died = recording.Record(ENTRIES[0], [{"action": 0, "error": ("Crashed", "SIGSEGV")}])
    with pytest.raises(GateError, match="1 of 1 cases ended their process"):
        running._of(recording.Recording(HEAD, (died,)), ["torch"])


def test_a_folder_without_room_is_named() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(GateError, match="cannot write to /dev/full: No space left"):
        recorded(Path("/dev/full"))
