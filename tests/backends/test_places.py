"""A case that runs in a worker gives what it gives here; a death is an outcome of its case."""

from __future__ import annotations

import builtins
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests_support import simple_case

from invariants.backends import observe, record, versions
from invariants.backends.places import Apart, place_for
from invariants.backends.probing import lacks
from invariants.backends.runner import BackendUnavailable
from invariants.judge import judge
from invariants.observation import CRASHED, DEATHS, EXITED, HUNG, KILLED
from invariants.report.repro import script


@pytest.fixture(scope="module")
def place() -> Iterator[Apart]:
    apart = Apart(sys.executable, own=True)
    yield apart
    apart.close()


def same(a: object, b: object) -> bool:
    """Whether two recorded values are the same, arrays to the bit."""
    if isinstance(a, np.ndarray | np.generic):
        return isinstance(b, type(a)) and a.tobytes() == b.tobytes() and a.dtype == b.dtype
    if isinstance(a, dict):
        return isinstance(b, dict) and [*a] == [*b] and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_worker_records_what_this_process_records(backend: str) -> None:
    apart = Apart(sys.executable, own=True)
    try:
        assert versions(backend, apart) == versions(backend)
        case = simple_case()
        assert same(record(case, backend, apart), record(case, backend))
    finally:
        apart.close()


def test_bfloat16_travels(place: Apart) -> None:
    case = dataclasses.replace(simple_case(), dtype="bfloat16").check()
    (loaded, *_) = observe(case, "torch", place).points
    assert {a.dtype.name for a in loaded.weights.values()} == {"bfloat16"}


def test_one_worker_runs_case_after_case(place: Apart) -> None:
    record(simple_case(), "torch", place)
    process = place._workers["torch"].process.pid
    record(simple_case(), "torch", place)
    assert place._workers["torch"].process.pid == process


def test_what_a_script_prints_or_reads_disturbs_nothing(place: Apart) -> None:
    source = (
        "import os, sys\n"
        "print('x' * 100000, flush=True)\n"
        "os.write(1, b'y' * 1000)\n"
        "with action(0):\n"
        "    raise ValueError(sys.stdin.read())\n"
    )
    (point,) = place.run("torch", source, {})
    assert point["error"] == ("ValueError", "")


DYING = {
    "a segmentation fault": ("import ctypes\n    ctypes.string_at(0)", CRASHED, "SIGSEGV"),
    "an abort": ("import os\n    os.write(2, b'why\\n')\n    os.abort()", CRASHED, "SIGABRT: why"),
    "a kill": ("import os\n    os.kill(os.getpid(), 9)", KILLED, "SIGKILL"),
    "an exit": ("raise SystemExit(3)", EXITED, "exit code 3"),
    "a hang": ("import time\n    time.sleep(60)", HUNG, "within 1 s"),
}


@pytest.fixture(scope="module")
def hasty() -> Iterator[Apart]:
    apart = Apart(sys.executable, 1.0, own=True)
    yield apart
    apart.close()


@pytest.mark.parametrize("what", DYING)
def test_a_death_is_the_error_of_its_action_and_the_next_case_runs(what: str, hasty: Apart) -> None:
    does, kind, words = DYING[what]
    source = (
        "with action(0):\n"
        "    import warnings\n"
        "    warnings.warn('before')\n"
        "with action(1):\n"
        f"    {does}\n"
        "with action(2):\n"
        "    pass\n"
    )
    before, death = hasty.run("torch", source, {})
    assert before == {"action": 0, "warnings": [("UserWarning", "before")]}
    assert (death["action"], death["error"][0]) == (1, kind)
    assert words in death["error"][1]
    assert hasty.run("torch", "with action(0):\n    pass\n", {}) == []


def test_a_death_is_a_finding_with_a_script_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nimport torch\ntorch.optim.SGD.step = lambda self, closure=None: os.abort()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    apart = Apart(sys.executable, own=True)
    case = simple_case()
    try:
        verdict = judge(case, "torch", place=apart)
        (finding,) = verdict.violations
        assert (finding.property_, finding.action, finding.relation) == ("program_runs", 2, "ends")
        assert finding.got == "Crashed: SIGABRT"
        assert verdict.measures.gradients, "what was recorded before it is judged"
        (tmp_path / "repro.py").write_text(script(case, finding, versions(finding.backend, apart)))
        done = subprocess.run([sys.executable, tmp_path / "repro.py"], capture_output=True)
        assert (done.returncode, done.stdout.split()[-1]) == (1, b"VIOLATED")
        (tmp_path / "sitecustomize.py").write_text("")
        done = subprocess.run([sys.executable, tmp_path / "repro.py"], capture_output=True)
        assert (done.returncode, done.stdout.split()[-1]) == (0, b"holds")
    finally:
        apart.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ImportError('no CUDA\\nhere')", "ImportError: no CUDA"),
        ("import os; os.abort()", "dies while it imports torch (Crashed: SIGABRT)"),
    ],
)
def test_an_import_that_dies_is_named(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BackendUnavailable) as raised:
        Apart(sys.executable, own=True).prepare("torch")
    assert words in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_python_that_there_is_not_is_named() -> None:
    with pytest.raises(BackendUnavailable, match="/no/python cannot be started: No such file"):
        Apart("/no/python").prepare("torch")


def test_another_environment_does_not_see_what_this_one_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise RuntimeError('of this environment')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    other = Apart(sys.executable)
    other.prepare("torch")
    other.close()


def test_a_probe_runs_where_the_cases_do(place: Apart) -> None:
    assert place.refusal("torch", "raise ValueError('not\\nhere')") == "ValueError: not"
    assert place.refusal("torch", "1") == ""
    assert lacks("torch", "eager", place) == ""


def test_cases_stay_here_unless_they_are_isolated() -> None:
    assert place_for(0.0) is place_for(0.0)
    assert not isinstance(place_for(0.0), Apart)
    apart = place_for(7.0)
    assert isinstance(apart, Apart)
    assert (apart.limit, apart.own, apart.python) == (7.0, True, sys.executable)


def test_the_ends_of_a_process_have_names_that_no_exception_has() -> None:
    assert not any(hasattr(builtins, name) for name in DEATHS)
