"""Environments: what is asked for resolves before anything is built, and is built once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from patched import environment
from shelf import put

from invariants.backends import versions
from invariants.gate import environments
from invariants.gate.environments import Environment, Side, _key, made, packages, resolved, side
from invariants.gate.errors import GateError
from invariants.gate.installing import Pip, Uv, python_in, reason
from invariants.gate.running import Settings, environment_of, environments_of


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    for version in ("1.26.0", "2.4.0"):
        put(folder, "numpy", version)
    for version in ("2.2.0", "2.13.0"):
        put(folder, "torch", version, ["numpy"])
    put(folder, "keras", "3.12.0", ["numpy<2"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


class Shelf:
    """An installer that knows its answers; it notes what it is asked."""

    def __init__(self, *pins: str) -> None:
        self.pins, self.asked, self.built = pins, [], 0  # type: ignore[var-annotated]

    def resolve(self, python: str, requirements: object) -> tuple[str, ...]:
        self.asked.append(tuple(requirements))  # type: ignore[call-overload]
        return self.pins

    def install(self, python: str, folder: Path, pins: object) -> None:
        self.built += 1
        (folder / "bin").mkdir(parents=True)


def quiet(line: str) -> None:
    pass


# --- what is asked for ----------------------------------------------------------------------------


def test_requirements_come_one_by_one_or_in_one_text() -> None:
    one = side("baseline", ["torch==2.12.0 numpy"])
    assert one.requirements == ("torch==2.12.0", "numpy")
    assert side("baseline", ["torch==2.12.0", "numpy"]).requirements == one.requirements


def test_numpy_comes_along_and_a_tensorflow_with_keras() -> None:
    assert side("baseline", ["torch"]).requirements == ("torch", "numpy")
    here = versions("tensorflow")["tensorflow"]
    asked = side("candidate", ["Keras==3.12.0"]).requirements
    assert asked == ("Keras==3.12.0", "numpy", f"tensorflow=={here}")
    asked = side("candidate", ["keras", "tensorflow-cpu==2.20", "numpy<2"]).requirements
    assert asked == ("keras", "tensorflow-cpu==2.20", "numpy<2")


def test_current_is_this_python() -> None:
    assert side("baseline", ["current"]) == Side("baseline", python=sys.executable, own=True)


def test_a_python_is_taken_as_it_is_and_so_is_its_environment(tmp_path: Path) -> None:
    assert side("baseline", [sys.executable]).python == sys.executable
    python = python_in(tmp_path)
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    assert side("baseline", [str(tmp_path)]).python == str(python)


BAD_SIDES = {
    "nothing": ([], "--baseline needs requirements, current or the path"),
    "no requirement": (["keras=3"], "'keras=3' is no requirement such as keras==3.12.0"),
    "no Python": (["/no/where"], "there is no Python at /no/where"),
    "no wheel": (["./a-1-py3-none-any.whl"], "there is no file ./a-1-py3-none-any.whl"),
}


@pytest.mark.parametrize("what", BAD_SIDES)
def test_what_is_no_side_is_named(what: str) -> None:
    given, words = BAD_SIDES[what]
    with pytest.raises(GateError) as raised:
        side("baseline", given)
    assert words in str(raised.value)


def test_one_environment_is_no_two_sides_however_it_is_spelled(tmp_path: Path) -> None:
    here, python = Path(sys.executable), environment(tmp_path / "a")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for one, other in (
        (python, python.with_name("python3")),
        (python, tmp_path / "b"),
        (here, here.with_name("python3")),
        ("current", here),
        ("current", here.with_name("python3")),
    ):
        sides = [side("baseline", [str(one)]), side("candidate", [str(other)])]
        with pytest.raises(GateError, match="are the same environment"):
            environments_of(sides, Settings(), Telling([]))
    before, after = environments_of(
        [side("baseline", ["current"]), side("candidate", [str(python)])], Settings(), Telling([])
    )
    assert before.installed != after.installed, "another one with the same frameworks"


def test_a_python_that_talks_when_it_starts_is_one(tmp_path: Path) -> None:
    python = environment(tmp_path / "a", "print('good morning', flush=True)\n")
    found = Environment(Side("candidate", python=str(python)), str(python))
    assert packages(found)["torch"] == versions("torch")["torch"]
    place = found.place()
    try:
        assert place.versions("torch", ("torch",)) == versions("torch")
    finally:
        place.close()
    assert _key(str(python), []) == _key(str(python), [])


def test_what_is_no_python_makes_no_environment(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="/bin/true does not answer as a Python does"):
        made(side("baseline", ["torch"]), "/bin/true", tmp_path, Pip(), quiet)


def test_a_python_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "_LIMIT", 0.2)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    found = Environment(Side("candidate", python=str(python)), str(python))
    with pytest.raises(GateError, match=r"--candidate: .*/python did not answer within 0\.2 s"):
        packages(found)
    with pytest.raises(GateError, match=r"/python did not answer within 0\.2 s"):
        _key(str(python), [])


# --- what it resolves to --------------------------------------------------------------------------


def test_pip_resolves_without_installing(shelf: Path) -> None:
    pins = Pip().resolve(sys.executable, ["torch==2.13.0", "numpy"])
    assert pins == ("numpy==2.4.0", "torch==2.13.0")


def test_a_wheel_resolves_to_its_address(shelf: Path) -> None:
    wheel = put(shelf.parent, "torch", "2.99.0", ["numpy"])
    asked = side("candidate", [str(wheel)]).requirements
    assert f"torch @ {wheel.as_uri()}" in Pip().resolve(sys.executable, asked)


def test_an_old_torch_gets_the_numpy_that_it_was_built_against(shelf: Path) -> None:
    asked = side("baseline", ["torch==2.2.0"]).requirements
    assert resolved(asked, sys.executable, Pip()) == ("numpy==1.26.0", "torch==2.2.0")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["torch==99"], "Could not find a version that satisfies the requirement torch==99"),
        (["keras==3.12.0", "numpy>=2"], "have conflicting dependencies"),
    ],
)
def test_what_does_not_resolve_is_told_in_pips_own_words(
    asked: list[str], words: str, shelf: Path, tmp_path: Path
) -> None:
    wanted = Side("candidate", tuple(asked))
    with pytest.raises(GateError) as raised:
        made(wanted, sys.executable, tmp_path / "cache", Pip(), quiet)
    assert str(raised.value).startswith(f"--candidate {' '.join(asked)}: ")
    assert words in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "cache").exists()


def test_the_reason_of_an_installer_is_one_line() -> None:
    listed = "ERROR: Could not find a version that satisfies x==9 (from versions: 1, 2)\nERROR: No"
    assert reason(listed) == "Could not find a version that satisfies x==9"
    tree = "  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no\n"
    assert reason(tree + "      version of x==9, nothing can be done.\n") == (
        "Because there is no version of x==9, nothing can be done."
    )
    assert reason("error: No solution found\n  cause: Because there is none\n") == (
        "Because there is none"
    )
    assert reason("") == "it failed without a word"


# --- and what is built ----------------------------------------------------------------------------


def test_pip_builds_an_environment_with_just_the_pins(shelf: Path, tmp_path: Path) -> None:
    told: list[str] = []
    wanted = side("baseline", ["torch==2.13.0"])
    first = made(wanted, sys.executable, tmp_path / "cache", Pip(), told.append)
    code = "import torch, numpy; print(torch.__version__, numpy.__version__)"
    said = subprocess.run([first.python, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["2.13.0", "2.4.0"]
    assert told[0] == "baseline: resolving torch==2.13.0 numpy"
    assert told[1].startswith("baseline: installing 2 packages into ")
    assert made(wanted, sys.executable, tmp_path / "cache", Pip(), quiet) == first
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [Path(first.python).parts[-3]]


def test_the_same_set_is_built_once_and_another_beside_it(tmp_path: Path) -> None:
    tools, other = Shelf("numpy==2", "torch==2.13"), Shelf("numpy==2", "torch==2.12")
    asked = side("baseline", ["torch"])
    first = made(asked, sys.executable, tmp_path, tools, quiet)
    assert made(side("candidate", ["torch>2"]), sys.executable, tmp_path, tools, quiet).python == (
        first.python
    )
    assert tools.built == 1
    assert made(asked, sys.executable, tmp_path, other, quiet).python != first.python


class Together(Shelf):
    """Does not go on before the other side installs as well."""

    def __init__(self) -> None:
        super().__init__("torch==2.13")
        self.both = threading.Barrier(2)

    def install(self, python: str, folder: Path, pins: object) -> None:
        super().install(python, folder, pins)
        self.both.wait(20)


def test_two_sides_that_make_the_same_environment_are_not_in_one_anothers_way(
    tmp_path: Path,
) -> None:
    tools = Together()

    def one(name: str) -> Environment:
        return made(side(name, ["torch"]), sys.executable, tmp_path, tools, quiet)

    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(one, ("baseline", "candidate"))
    assert before.python == after.python
    assert [path.name for path in tmp_path.iterdir()] == [Path(after.python).parts[-3]]


@dataclass(frozen=True)
class Telling:
    """Who writes down what is said."""

    told: list[str]

    def say(self, line: str) -> None:
        self.told.append(line)

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        return nullcontext(lambda: None)


class Failing(Shelf):
    """Fails in the middle of it."""

    def install(self, python: str, folder: Path, pins: object) -> None:
        super().install(python, folder, pins)
        raise GateError("No space left on device")


def test_what_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="--baseline torch numpy: No space left on device"):
        made(side("baseline", ["torch"]), sys.executable, tmp_path, Failing("torch==1"), quiet)
    assert not [*tmp_path.iterdir()]


def test_what_a_killed_installation_has_left_goes_and_what_is_being_made_stays(
    tmp_path: Path,
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f"0123abcd.{gone.pid}-1.partial"
    kept = [tmp_path / f"0123abcd.{os.getpid()}-1.partial", tmp_path / "my.partial"]
    for folder in (left, *kept):
        (folder / "bin").mkdir(parents=True)
    found = made(side("baseline", ["torch"]), sys.executable, tmp_path, Shelf("torch==1"), quiet)
    assert {*tmp_path.iterdir()} == {*kept, Path(found.python).parents[1]}


def test_a_cache_that_cannot_be_written_is_named() -> None:
    with pytest.raises(GateError, match="cannot write to /proc/x"):
        made(side("baseline", ["torch"]), sys.executable, Path("/proc/x"), Shelf("a==1"), quiet)


#: An installer that knows no torch 99, and that is not ready with any other before long.
SLOW = """#!/bin/sh
echo $$ >> "$STARTED"
case "$1 $2" in
  "pip compile")
    asked=$(cat)
    case "$asked" in *99*) until [ -d "$CACHE" ]; do sleep 0.1; done; sleep 0.3
      echo "there is no torch 99" >&2; exit 1 ;; esac
    echo "torch==2.12.0" ;;
  "venv --quiet") mkdir -p "$5/bin" ;;
  *) sleep 60 & echo $! >> "$STARTED"; wait ;;
esac
"""


def is_running(process: str) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", process], capture_output=True).stdout
    return state[:1] not in (b"", b"Z")


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a gate whose installer takes its time."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(SLOW)
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    monkeypatch.setenv("CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_where_one_side_does_not_resolve_the_others_installation_is_ended(
    slow: Path, tmp_path: Path
) -> None:
    sides = [side("baseline", ["torch==2.12.0"]), side("candidate", ["torch==99"])]
    told: list[str] = []
    with pytest.raises(GateError, match="--candidate torch==99 numpy: there is no torch 99"):
        environments_of(sides, Settings(cache=slow), Telling(told))
    assert any("installing 1 packages" in line for line in told), "it was on its way"
    assert not [*slow.iterdir()]
    assert not [p for p in (tmp_path / "started").read_text().split() if is_running(p)]


class Interrupting(Telling):
    """Who has had enough once the baseline is installed."""

    def say(self, line: str) -> None:
        if line.startswith("baseline: installing"):
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()


def alone(cache: Path) -> None:
    environment_of(side("baseline", ["torch"]), Settings(cache=cache), Interrupting([]))


def side_by_side(cache: Path) -> None:
    sides = [side("baseline", ["torch"]), side("candidate", ["torch>2"])]
    environments_of(sides, Settings(cache=cache), Interrupting([]))


@pytest.mark.usefixtures("interrupt_key")
@pytest.mark.parametrize("installing", [alone, side_by_side])
def test_an_installation_that_is_interrupted_is_ended(
    installing: Callable[[Path], None], slow: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        installing(slow)
    assert not [*slow.iterdir()]
    assert not [p for p in (tmp_path / "started").read_text().split() if is_running(p)]


def test_a_tool_that_does_not_start_is_named() -> None:
    with pytest.raises(GateError, match="/no/uv cannot be started: No such file"):
        Uv("/no/uv").resolve(sys.executable, ["torch"])
