"""The command line: exit codes, one clear line for bad input, and findings that can be replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.config import _prepareconfig
from tests_support import BLOCKING, simple_case

from invariants import cli, ledger
from invariants.backends import versions
from invariants.backends.places import HERE
from invariants.backends.probing import absent
from invariants.cli import main
from invariants.finding import Finding
from invariants.gate import result_file
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.suite import test_invariants
from invariants.suite.plugin import _options
from invariants.suite.session import Options


def run(*arguments: str, cwd: Path, patch: str = "") -> subprocess.CompletedProcess[str]:
    """`invariants ...` in a process of its own, with `patch` executed when Python starts."""
    environment = dict(os.environ, PYTHONWARNINGS="ignore")
    if patch:
        (cwd / "patch").mkdir(exist_ok=True)
        (cwd / "patch" / "sitecustomize.py").write_text(patch)
        environment["PYTHONPATH"] = str(cwd / "patch")
    command = [sys.executable, "-m", "invariants", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True)


BAD = {
    "an unknown backend": (("verify", "--backend", "jax"), "unknown backend 'jax'"),
    "an unknown profile": (("verify", "--profile", "huge"), "unknown profile 'huge'"),
    "no examples": (("verify", "--max-examples", "0"), "must be at least 1"),
    "no time for a case": (("verify", "--case-limit", "0"), "--case-limit must be more than 0"),
    "no workers": (("verify", "-n", "0"), "must be at least 1"),
    "an unknown option": (("verify", "--fast"), "--fast"),
    "a folder that cannot be written": (("verify", "--report", "/proc/x"), "cannot write"),
    "an unknown device": (("verify", "--device", "tpu"), "unknown device 'tpu'"),
    "a device that a backend has not": (
        ("verify", "--backend", "tensorflow", "--device", "mps"),
        "tensorflow has no device 'mps', but cpu and cuda",
    ),
    "no case": (("replay", "nothing.json"), "nothing.json"),
    "a case that is none": (("show", "none.json"), "not JSON"),
    "an unknown fault": (("faults", "--backend", "torch", "--fault", "x"), "unknown fault"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_line_and_exit_2(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, words = BAD[what]
    (tmp_path / "none.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["invariants", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1


def said_of(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The one line of a command that cannot run."""
    monkeypatch.setattr(sys, "argv", ["invariants", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert len(said.strip().splitlines()) == 1
    return said


@pytest.mark.parametrize(
    "command",
    [
        ("verify",),
        ("replay", "case.json"),
        ("gate", "--baseline", "current", "--candidate", "current"),
        ("report", "result.json"),
        ("record", "-o", "recording"),
        ("bisect", "keras", "--good", "3.1", "--bad", "3.2"),
    ],
    ids=lambda command: command[0],
)
def test_a_ledger_that_is_wrong_is_named_before_anything_runs(
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = ledger._shipped()
    first = 'versions = { keras = ">=3.1.1,<=3.15.1" }'
    for wrong, words in (
        ('versions = { keras = "three" }', "'three' is no version specifier of keras"),
        (first + '\nproperties = ["luck"]\nleft', "not TOML"),
        (first + "\nluck = 1", "there is no field 'luck'"),
        ("versions = {}", "versions names none of tensorflow and keras"),
        ('versions = { keras = "" }', "the specifier of keras is empty"),
        (first + '\nwanted = { mode = "tpae" }', "wanted: mode must be one of tape, "),
    ):
        edited = shipped.replace(first, wrong, 1)
        monkeypatch.setattr(ledger, "_shipped", lambda edited=edited: edited)
        ledger.known_issues.cache_clear()
        said = said_of(command, monkeypatch, capsys)
        assert said.startswith("invariants: known_issues.toml: ")
        assert words in said
    monkeypatch.undo()
    ledger.known_issues.cache_clear()


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_device_that_is_not_there_is_one_line(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch = CONTRACTS["torch"]
    gone = replace(torch.device("cuda"), absent='raise RuntimeError("no such card\\nat all")')
    devices = tuple(gone if device.name == "cuda" else device for device in torch.devices)
    monkeypatch.setitem(CONTRACTS, "torch", replace(torch, devices=devices))
    absent.cache_clear()
    file = tmp_path / "case.json"
    file.write_text(simple_case().to_json())
    arguments = ("verify",) if command == "verify" else ("replay", str(file))
    said = said_of((*arguments, "--backend", "torch", "--device", "cuda"), monkeypatch, capsys)
    absent.cache_clear()
    assert said == (
        "invariants: there is no device 'cuda' for torch here: RuntimeError: no such card\n"
    )


def test_a_script_is_shown_as_it_runs_on_another_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "case.json"
    file.write_text(simple_case().to_json())
    arguments = ["show", str(file), "--backend", "torch", "--device", "mps"]
    monkeypatch.setattr(sys, "argv", ["invariants", *arguments])
    main()
    shown = capsys.readouterr().out
    assert "torch on mps, eager" in shown
    assert 'model = Net().to("mps", torch.float32)' in shown


EDITED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a thaw of what does not exist": (
        lambda case: case["program"][3].update(target="dense_9"),
        "program[3]: 'dense_9' is no weight, layer or submodule with weights here",
    ),
    "steps without an optimizer": (
        lambda case: case.pop("optimizer"),
        "optimizer: program[2] is a step, and the case has no optimizer",
    ),
    "an optimizer that there is not": (
        lambda case: case.update(optimizer={"kind": "sgdd"}),
        "optimizer: unknown kind 'sgdd'",
    ),
    "a hyperparameter that there is not": (
        lambda case: case["optimizer"].update(lr=0.1),
        "optimizer.sgd.lr: there is no such field",
    ),
    "an action that there is not": (
        lambda case: case["program"][3].update(action="thow"),
        "program.3: unknown action 'thow'",
    ),
    "a thaw that goes by no way": (
        lambda case: case["realisations"]["torch"]["ways"].__setitem__(3, None),
        "realisations: torch: ways[3]: a thaw here goes by requires_grad_ or",
    ),
}


@pytest.mark.parametrize("what", EDITED)
def test_a_case_that_was_edited_by_hand_is_named_where_it_is_wrong(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit, words = EDITED[what]
    document = json.loads(simple_case().to_json())
    edit(document)
    (tmp_path / "case.json").write_text(json.dumps(document))
    said = said_of(("replay", str(tmp_path / "case.json")), monkeypatch, capsys)
    assert f"case.json: {words}" in said


def unscaled(case: Any) -> None:
    """Puts a norm without a scale in the place of the relu."""
    case["architecture"]["network"]["members"][1] = {"kind": "rms_norm", "scaled": False}


#: An edit of a case that runs on both backends -> the one that lacks it, and what is said of that.
UNOFFERED: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "an option of a layer": (
        unscaled,
        "tensorflow",
        "rms_norm_1: tensorflow has no rms_norm_scaled False: The layer multiplies by a learned",
    ),
    "groups": (
        lambda case: case.update(groups={"dense_0": 0.25}),
        "tensorflow",
        "groups: An optimizer of Keras has one learning rate for all of its variables.",
    ),
    "an optimizer": (
        lambda case: case.update(optimizer={"kind": "lion"}),
        "torch",
        "optimizer: torch has no lion",
    ),
}


@pytest.mark.parametrize("chosen", ["all", "the one that lacks it"])
@pytest.mark.parametrize("what", UNOFFERED)
def test_what_a_backend_lacks_is_told_with_its_reason_and_the_case_runs_on_the_others(
    what: str,
    chosen: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit, backend, words = UNOFFERED[what]
    (other,) = {"torch", "tensorflow"} - {backend}
    for name in (backend, other):
        pytest.importorskip(name)
    document = json.loads(simple_case().to_json())
    edit(document)
    file = tmp_path / "case.json"
    file.write_text(json.dumps(document))
    arguments = ["replay", str(file)] + ([] if chosen == "all" else ["--backend", backend])
    monkeypatch.setattr(sys, "argv", ["invariants", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said, refused = capsys.readouterr()
    # Where nothing has run nothing holds: a script that goes by the exit code must see that.
    alone = chosen != "all"
    assert left.value.code == (2 if alone else 0)
    line = f"invariants: nothing has run: {backend} cannot express the case\n"
    assert refused == (line if alone else "")
    has = ", ".join(f"{name} {version}" for name, version in versions(backend).items())
    assert f"unsupported: {backend} ({has}): {words}" in said
    assert f"{backend}: not run, 1 not offered\n" in said
    assert (f"{other}: 0 violations" in said) != alone


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("optimizer", {"kind": "lion"}, "optimizer: torch has no lion"),
        ("accumulation", 2, "accumulation: Gradients accumulate in the grad of leaf tensors"),
    ],
)
def test_a_case_that_is_of_torch_alone_and_that_torch_lacks_is_no_success(
    field: str,
    value: object,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = json.loads(simple_case().to_json())
    document["realisations"].pop("tensorflow", None)
    document[field] = value
    file = tmp_path / "case.json"
    file.write_text(json.dumps(document))
    monkeypatch.setattr(sys, "argv", ["invariants", "replay", str(file)])
    with pytest.raises(SystemExit) as left:
        main()
    said, refused = capsys.readouterr()
    assert left.value.code == 2
    assert words in said
    assert refused == "invariants: nothing has run: torch cannot express the case\n"


def test_a_case_that_the_installed_release_lacks_a_part_of_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = replace(CONTRACTS["torch"], without={"eager": "a later mode"})
    monkeypatch.setattr(Contract, "of", lambda contract, installed: old)
    file = tmp_path / "case.json"
    file.write_text(simple_case().to_json())
    monkeypatch.setattr(sys, "argv", ["invariants", "replay", str(file), "--backend", "torch"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    line = "invariants: nothing has run: torch cannot express the case\n"
    assert capsys.readouterr().err == line


def test_what_no_backend_could_run_is_bad_input_whatever_one_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(simple_case().to_json())
    unscaled(document)
    document["batches"][0]["inputs"][0] = {"shape": [1, 3], "values": [1.0, 2.0, 3.0]}
    file = tmp_path / "case.json"
    file.write_text(json.dumps(document))
    said = said_of(("replay", str(file)), monkeypatch, capsys)
    assert "targets[0] has shape" in said


@pytest.mark.parametrize("command", [("show", "a"), ("replay", "a"), ("report", "a")])
def test_what_nobody_foresaw_is_a_bug_of_the_tool_and_no_finding(
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*given: object) -> None:
        raise AttributeError("no such\nthing")

    monkeypatch.setattr(cli, "read_offered", fail)
    monkeypatch.setattr(result_file, "read", fail)
    monkeypatch.setattr(sys, "argv", ["invariants", *command])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    *traceback, last = capsys.readouterr().err.splitlines()
    assert traceback[0] == "Traceback (most recent call last):"
    assert last == (
        "invariants: this is a bug of invariants, please report it with the lines above: "
        "AttributeError: no such thing"
    )


def test_the_command_itself_exits_with_2(tmp_path: Path) -> None:
    done = run("verify", "--backend", "jax", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("invariants: unknown backend 'jax'")


def test_a_sound_torch_passes(tmp_path: Path) -> None:
    done = run(
        *("verify", "--backend", "torch", "--max-examples", "16", "--seed", "3"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no violation in 16 cases" in done.stdout
    assert "not verified: tensorflow" in done.stdout


@pytest.mark.parametrize(
    ("given", "limit"), [((), 0.0), (("--isolate",), 60.0), (("--case-limit", "7"), 7.0)]
)
def test_cases_are_isolated_where_that_is_asked_for(
    given: tuple[str, ...], limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(pytest, "main", lambda arguments: ran.append(arguments) or 0)
    monkeypatch.setattr(sys, "argv", ["invariants", "verify", "--backend", "torch", *given])
    with pytest.raises(SystemExit):
        main()
    config = _prepareconfig([*ran[0][:-1], "--collect-only"])
    assert {plan.case_limit for plan in _options(config).plans()} == {limit}


def test_a_broken_torch_is_found_and_its_findings_replay(tmp_path: Path) -> None:
    arguments = ("verify", "--backend", "torch", "--max-examples", "8", "--seed", "3")
    arguments += ("--mode", "eager")  # a compiled mode takes seconds for each case of a reduction
    done = run(*arguments, "--report", "report", cwd=tmp_path, patch=BLOCKING)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "upstream_gradients on torch" in done.stdout
    folders = sorted((tmp_path / "report" / "findings").glob("upstream_gradients-*"))
    assert folders
    case = str(folders[0] / "case.json")
    assert run("replay", case, cwd=tmp_path, patch=BLOCKING).returncode == 1
    assert run("replay", case, "--backend", "torch", cwd=tmp_path, patch="").returncode == 0
    for patch, code in ((BLOCKING, 1), ("", 0)):
        (tmp_path / "patch" / "sitecustomize.py").write_text(patch)
        environment = dict(os.environ, PYTHONPATH=str(tmp_path / "patch"))
        command = [sys.executable, str(folders[0] / "repro.py")]
        repro = subprocess.run(command, env=environment, text=True, capture_output=True)
        assert repro.returncode == code, repro.stdout + repro.stderr
        assert ("VIOLATED" if code else "holds") in repro.stdout
    assert "import invariants" not in (folders[0] / "repro.py").read_text()


def test_a_finding_that_cannot_be_written_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("upstream_gradients", "torch", 1, "dense_0.kernel", "so it is", "within")
    verdict = replace(judge(simple_case(), "torch"), findings=(finding,))
    tally = SimpleNamespace(document=dict, violations={"upstream_gradients": 1})

    def hunt(plan: object, muted: object, write_down: Callable[[object], None]) -> object:
        return SimpleNamespace(run=lambda: write_down(verdict), tally=tally)

    monkeypatch.setattr(test_invariants, "Hunt", hunt)
    (tmp_path / "findings").write_text("no folder")
    plan: Any = SimpleNamespace(backend="torch", place=HERE, mode="", compare="")
    options: Any = SimpleNamespace(report=tmp_path)
    told: list[Any] = []
    with pytest.raises(pytest.fail.Exception, match=r"not written: cannot write to .*: Not a dir"):
        test_invariants.test_invariants_hold(plan, options, told.append)
    assert [message["property"] for message in told if "found" in message] == [finding.property_]


STUBS = {
    "an empty package": "",
    "one that ends the process": "raise SystemExit(3)",
    "one that fails": "raise RuntimeError('two\\nlines')",
}


@pytest.mark.parametrize("what", STUBS)
@pytest.mark.parametrize("command", ["verify", "faults", "replay case.json"])
def test_a_torch_that_cannot_be_used_is_named_in_one_line(
    what: str, command: str, tmp_path: Path
) -> None:
    (tmp_path / "case.json").write_text(simple_case().to_json())
    (tmp_path / "stub" / "torch").mkdir(parents=True)
    (tmp_path / "stub" / "torch" / "__init__.py").write_text(STUBS[what])
    environment = dict(os.environ, PYTHONPATH=str(tmp_path / "stub"))
    call = [sys.executable, "-m", "invariants", *command.split(), "--backend", "torch"]
    done = subprocess.run(call, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("invariants: torch is installed but cannot be used")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no violation" not in done.stdout


def interrupted(running: subprocess.Popen[str]) -> str:
    """What a run says once it is interrupted, again where Python has dropped the first time.

    So it does where that falls into a callback of the garbage collector, such as Hypothesis has.
    """
    while True:
        running.send_signal(signal.SIGINT)
        try:
            return running.communicate(timeout=120.0)[0]
        except subprocess.TimeoutExpired:
            continue


def test_an_interrupted_run_shows_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "patch").mkdir()
    (tmp_path / "patch" / "sitecustomize.py").write_text(BLOCKING)
    command = [sys.executable, "-m", "invariants", "verify", "--backend", "torch"]
    running = subprocess.Popen(
        [*command, "--profile", "soak", "--mode", "eager", "--report", "report"],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(tmp_path / "patch"), PYTHONUNBUFFERED="1"),
        text=True,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout is not None
    said = ""
    while "written to" not in said:
        line = running.stdout.readline()
        assert line, f"ended before it was interrupted: {said}"
        said += line
    rest = interrupted(running)
    assert running.returncode == 2
    assert "violation: " in said
    assert "interrupted after" in rest
    planned = Options.checked(["torch"], "soak", None, 0, None, False, ["eager"]).plans()
    assert f"of {sum(plan.examples for plan in planned):,} cases" in rest
    assert list((tmp_path / "report" / "findings").iterdir())
    assert json.loads((tmp_path / "report" / "summary.json").read_text())["interrupted"]


def test_other_projects_keep_their_own_options(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        "    parser.addoption('--backend')\n"
        "    parser.addoption('--seed')\n"
    )
    (tmp_path / "test_theirs.py").write_text(
        "def test_theirs(request):\n    assert request.config.getoption('--backend') == 'cpu'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--backend", "cpu", "--seed", "x"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "invariants" not in done.stdout


def test_show_draws_text_and_svg(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text(simple_case().to_json())
    done = run("show", "case.json", "--svg", "case.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dense_2" in done.stdout
    assert (tmp_path / "case.svg").read_text().lstrip().startswith("<")


def test_pytest_runs_the_shipped_suite_with_the_same_options(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--pyargs", "invariants", "--backend", "torch"]
    command += ["--max-examples", "8", "--seed", "1", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verifying torch" in done.stdout
    assert "no violation in 8 cases" in done.stdout
