"""The two sides of a gate: a set of requirements, the Python of an environment, or this one.

An environment is made once for each resolved set and Python, and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from invariants.backends import BACKENDS, versions
from invariants.backends.places import CASE_LIMIT, Apart
from invariants.gate.errors import GateError
from invariants.gate.installing import Installer, python_in


@dataclass(frozen=True)
class Side:
    """What was asked for: requirements, or a Python that has them. own: that of this process."""

    name: str
    requirements: tuple[str, ...] = ()
    python: str = ""
    own: bool = False

    @property
    def text(self) -> str:
        """As it was asked for."""
        return "current" if self.own else self.python or " ".join(self.requirements)


@dataclass(frozen=True)
class Installed:
    """What a Python says of itself: its folder, its version, and the packages of backends."""

    prefix: str
    version: str
    packages: dict[str, str]


@dataclass(frozen=True)
class Environment:
    """A Python with frameworks. pins: what it was made from; none where it was there before.

    installed: None where it was not asked.
    """

    side: Side
    python: str
    pins: tuple[str, ...] = ()
    installed: Installed | None = None

    def place(self, case_limit: float = CASE_LIMIT) -> Apart:
        """Workers of it."""
        return Apart(self.python, case_limit, own=self.side.own)


#: What a release needs beside what it says itself: a package, versions of it, and what they need.
_COMPANIONS = (
    ("torch", SpecifierSet("<2.3"), "numpy<2"),  # they were built against NumPy 1
)


def side(name: str, given: Sequence[str]) -> Side:
    """One side as it was asked for on the command line; raises GateError."""
    if not given:
        raise GateError(f"--{name} needs requirements, current or the path of a Python")
    if [*given] == ["current"]:
        return Side(name, python=sys.executable, own=True)
    for text in given:
        _check_no_recording(name, text)
    if len(given) == 1 and os.sep in given[0] and not given[0].endswith(".whl"):
        return Side(name, python=_python_at(name, Path(given[0])))
    requirements = [_checked(name, text) for entry in given for text in entry.split()]
    return Side(name, (*requirements, *_beside(requirements)))


def is_document(text: str) -> bool:
    """Whether it is a file that is neither a Python nor a wheel."""
    if not Path(text).is_file() or text.endswith(".whl"):
        return False
    return text.endswith(".recording") or not os.access(text, os.X_OK)


def _check_no_recording(name: str, text: str) -> None:
    """Raises GateError for what would look like a requirement to an installer, and is none."""
    if is_document(text):
        raise GateError(
            f"--{name}: {text} is a file: a recording may be the baseline of a gate, alone"
        )
    if text.endswith(".recording") and not Path(text).exists():
        raise GateError(f"--{name}: there is no file {text}")


def _python_at(name: str, path: Path) -> str:
    python = python_in(path) if path.is_dir() else path
    if not (python.is_file() and os.access(python, os.X_OK)):
        raise GateError(f"--{name}: there is no Python at {path}")
    return str(python.absolute())  # not resolved: a link is what makes it the environment's


def _checked(name: str, text: str) -> str:
    if text.endswith(".whl"):
        if not Path(text).is_file():
            raise GateError(f"--{name}: there is no file {text}")
        return Path(text).absolute().as_uri()
    try:
        return str(Requirement(text))
    except InvalidRequirement:
        raise GateError(
            f"--{name}: {text!r} is no requirement such as keras==3.12.0, nor current, nor the "
            "path of a Python"
        ) from None


def _beside(requirements: Sequence[str]) -> list[str]:
    """What the workers need and no requirement names: NumPy, and a TensorFlow for Keras."""
    names = {
        canonicalize_name(text.rpartition("/")[2].partition("-")[0])
        if text.endswith(".whl")
        else canonicalize_name(Requirement(text).name)
        for text in requirements
    }
    more = [] if "numpy" in names else ["numpy"]
    if "keras" in names and not any(name.startswith("tensorflow") for name in names):
        here = versions("tensorflow")["tensorflow"]
        more.append(f"tensorflow=={here}" if here else "tensorflow")
    return more


#: What stands before the answer of a Python, which may say other things when it starts.
_ANSWER = "invariants told:"

#: Seconds in which a Python answers a question about itself.
_LIMIT = 120.0

#: Where and what a Python is; the packages among its arguments that are there, as they say it.
_INSTALLED = """\
import os, platform, sys
from importlib import metadata, util

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""

packages = {name: version(name) for name in sys.argv[1:] if util.find_spec(name)}
answer = [os.path.realpath(sys.prefix), platform.python_version(), packages]
"""

#: What tells one Python from another.
_BUILD = """\
import platform, sys
answer = [sys.version, platform.platform(), sys.base_prefix]
"""


def _told(python: str, code: str, *arguments: str, own: bool = False) -> Any:
    """The `answer` that code comes to in a Python; raises GateError where that gives none."""
    settings = {name: v for name, v in os.environ.items() if own or name != "PYTHONPATH"}
    code = f"{code}\nimport json\nprint('\\n' + {_ANSWER!r}, json.dumps(answer))\n"
    try:
        told = subprocess.run(
            [python, "-c", code, *arguments],
            env=settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LIMIT,
        )
    except OSError as error:
        raise GateError(f"{python} does not start: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        raise GateError(f"{python} did not answer within {_LIMIT:g} s") from None
    answers = [line for line in told.stdout.splitlines() if line.startswith(_ANSWER)]
    if told.returncode or not answers:
        said = [" ".join(line.split()) for line in told.stderr.splitlines() if line.strip()]
        why = "".join(f": {line}" for line in said[-1:])
        raise GateError(
            f"{python} does not answer as a Python does (exit code {told.returncode}{why})"
        )
    return json.loads(answers[-1].removeprefix(_ANSWER))


def packages(environment: Environment) -> dict[str, str]:
    """The packages of backends that are there, "" for one that is installed by another name.

    Importing them may still fail. Raises GateError.
    """
    return installed(environment).packages


def installed(environment: Environment) -> Installed:
    """What an environment says of itself. Raises GateError."""
    side = environment.side
    names = [package for backend in BACKENDS.values() for package in backend.PACKAGES]
    try:
        return Installed(*_told(environment.python, _INSTALLED, *names, own=side.own))
    except GateError as error:
        raise GateError(f"--{side.name}: {error}") from None


def offered(found: Mapping[str, str]) -> list[str]:
    """The backends of which all packages are there."""
    return [name for name, backend in BACKENDS.items() if found.keys() >= {*backend.PACKAGES}]


def cache_folder() -> Path:
    """Where environments are kept unless another folder is named."""
    return platformdirs.user_cache_path("freeze-invariants") / "environments"


def made(
    side: Side, python: str, cache: Path, tools: Installer, tell: Callable[[str], None]
) -> Environment:
    """The environment of a side, from the cache where it is there; raises GateError.

    python: what it is made with. tell: takes a line of progress.
    """
    if side.python:
        return Environment(side, side.python)
    try:
        _told(python, _BUILD)  # what is no Python is told before its pip is blamed
        tell(f"{side.name}: resolving {side.text}")
        pins = resolved(side.requirements, python, tools)
        folder = cache / _key(python, pins)
        if not folder.is_dir():
            tell(f"{side.name}: installing {len(pins)} packages into {folder}")
            _build(folder, python, pins, tools)
    except GateError as error:
        raise GateError(f"--{side.name} {side.text}: {error}") from None
    return Environment(side, str(python_in(folder)), pins)


def resolved(requirements: Sequence[str], python: str, tools: Installer) -> tuple[str, ...]:
    """The pinned packages, those beside them included that a release forgets to ask for."""
    pins = tools.resolve(python, requirements)
    held = dict(pin.split("==", 1) for pin in pins if "==" in pin)
    more = [
        needed
        for package, releases, needed in _COMPANIONS
        if package in held and releases.contains(held[package], prereleases=True)
    ]
    return tools.resolve(python, [*requirements, *more]) if more else pins


def _key(python: str, pins: Sequence[str]) -> str:
    """A name for the environment: the same for the same Python and packages."""
    # As it was printed once: environments that are kept shall be found again.
    build = " ".join(_told(python, _BUILD)) + "\n"
    return hashlib.sha256(json.dumps([build, *pins]).encode()).hexdigest()[:16]


def _moved(partial: Path, folder: Path) -> None:
    """Moves an environment to its place, unless another gate has made it meanwhile."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _clear(cache: Path) -> None:
    """Takes away environments that were begun by processes that no longer exist."""
    for partial in cache.glob("*.partial"):
        begun = re.fullmatch(r"\w+\.(\d+)-\d+\.partial", partial.name)
        if begun and not _is_running(int(begun[1])):
            shutil.rmtree(partial, ignore_errors=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # there is no asking there: a signal 0 interrupts
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _build(folder: Path, python: str, pins: Sequence[str], tools: Installer) -> None:
    """Makes an environment beside its place and moves it there whole."""
    # The other side may be making the same one.
    own = f"{os.getpid()}-{threading.get_ident()}"
    partial = folder.with_name(f"{folder.name}.{own}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear(folder.parent)
        tools.install(python, partial, pins)
        (partial / "pins.txt").write_text("\n".join(pins) + "\n", "utf-8")
        _moved(partial, folder)
    except OSError as error:
        raise GateError(f"cannot write to {folder.parent}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
