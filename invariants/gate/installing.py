"""What a set of requirements resolves to, and environments that have it: uv where it is, else pip.

Resolving comes before anything is built, so that an environment that exists already is found by its
resolved set, and one that cannot be had costs nothing. What runs is ended where it is to stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from invariants.gate.errors import GateError, Stopped

#: Seconds between two looks whether a command is to stop, and that it may take to clear up then.
_LOOK, _GRACE = 0.1, 3.0


class Installer(Protocol):
    """Either of the two; both raise GateError with the tool's own reason, Stopped where told to."""

    def resolve(self, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
        """The pinned packages that satisfy `requirements` on a Python, sorted."""

    def install(self, python: str, folder: Path, pins: Sequence[str]) -> None:
        """Makes a virtual environment in `folder` with exactly these packages."""


def installer(stop: threading.Event) -> Installer:
    """The one to use here, until it is to stop."""
    uv = shutil.which("uv")
    return Uv(uv, stop) if uv else Pip(stop)


@dataclass(frozen=True)
class Pip:
    """venv and pip, as every Python brings them along."""

    stop: threading.Event = field(default_factory=threading.Event)

    def resolve(self, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
        command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--dry-run"]
        command += ["--ignore-installed", "--report", "-", *requirements]
        told = output(command, stop=self.stop)
        try:
            found = json.loads(told)["install"]
            return tuple(sorted(_pinned(entry) for entry in found))
        except (ValueError, KeyError, TypeError):
            raise GateError(f"{python} has a pip without --report: upgrade it to 22.3") from None

    def install(self, python: str, folder: Path, pins: Sequence[str]) -> None:
        output([python, "-m", "venv", "--without-pip", str(folder)], stop=self.stop)
        command = [python, "-m", "pip", "--python", str(python_in(folder)), "install", "--quiet"]
        output([*command, "--no-input", "--no-deps", *pins], stop=self.stop)


def _pinned(entry: dict[str, object]) -> str:
    """One entry of pip's report as a requirement that gives the same again."""
    metadata, source = entry["metadata"], entry["download_info"]
    assert isinstance(metadata, dict)
    assert isinstance(source, dict)
    if entry.get("is_direct"):
        return f"{metadata['name']} @ {source['url']}"
    return f"{metadata['name']}=={metadata['version']}"


@dataclass(frozen=True)
class Uv:
    """uv, which keeps one copy of each package for all environments."""

    uv: str
    stop: threading.Event = field(default_factory=threading.Event)

    def resolve(self, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
        command = [self.uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        given = "\n".join(requirements)
        told = output([*command, "--python", python, "-"], given, self.stop)
        lines = (line.strip() for line in told.splitlines())
        return tuple(sorted(line for line in lines if line))

    def install(self, python: str, folder: Path, pins: Sequence[str]) -> None:
        output([self.uv, "venv", "--quiet", "--python", python, str(folder)], stop=self.stop)
        command = [self.uv, "pip", "install", "--quiet", "--no-deps", "--python"]
        output([*command, str(python_in(folder)), "-r", "-"], "\n".join(pins), self.stop)


def python_in(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def output(command: Sequence[str], given: str = "", stop: threading.Event | None = None) -> str:
    """What a command prints; raises GateError where it fails, Stopped where it is to stop."""
    settings = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
    settings.pop("PYTHONPATH", None)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=settings,
            start_new_session=True,  # it is ended with all that it has started
        )
    except OSError as error:
        raise GateError(f"{command[0]} cannot be started: {error.strerror or error}") from None
    with process:
        try:
            said, errors = _said(process, given, stop or threading.Event())
        except BaseException:  # it is to stop, or the user has had enough
            _end(process)
            raise
    if process.returncode:
        raise GateError(reason(errors or said))
    return said


def _said(process: subprocess.Popen[str], given: str, stop: threading.Event) -> tuple[str, str]:
    """What a command prints, and what it complains of; raises Stopped where it is to stop."""
    rest: str | None = given
    while not stop.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(rest, timeout=_LOOK)
        rest = None  # it is on its way
    raise Stopped


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a command with all that it has started: first as the interrupt key does."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GRACE)
            return


def reason(said: str) -> str:
    """The line of an installer's output that says why it failed, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if errors:
        # pip lists hundreds of versions before it comes to the point.
        short = [re.sub(r" \(from versions: .*\)", "", line) for line in errors]
        return next((line for line in short if line.startswith("Cannot install")), short[0])
    if any("╰─▶" in line for line in lines):  # uv draws a tree of reasons
        text = " ".join(lines).partition("╰─▶")[2]
        return " ".join(text.replace("│", " ").split())
    return lines[-1].removeprefix("cause: ") if lines else "it failed without a word"
