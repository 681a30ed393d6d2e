"""What a set of requirements resolves to, and environments that have it: uv where it is, else pip.

Resolving comes before anything is built, so that an environment that exists already is found by its
resolved set, and one that cannot be had costs nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from invariants.gate.errors import GateError


class Installer(Protocol):
    """Either of the two; both raise GateError with the tool's own reason."""

    def resolve(self, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
        """The pinned packages that satisfy `requirements` on a Python, sorted."""

    def install(self, python: str, folder: Path, pins: Sequence[str]) -> None:
        """Makes a virtual environment in `folder` with exactly these packages."""


def installer() -> Installer:
    """The one to use here."""
    uv = shutil.which("uv")
    return Uv(uv) if uv else Pip()


class Pip:
    """venv and pip, as every Python brings them along."""

    def resolve(self, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
        command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--dry-run"]
        told = output([*command, "--ignore-installed", "--report", "-", *requirements])
        try:
            found = json.loads(told)["install"]
            return tuple(sorted(_pinned(entry) for entry in found))
        except (ValueError, KeyError, TypeError):
            raise GateError(f"{python} has a pip without --report: upgrade it to 22.3") from None

    def install(self, python: str, folder: Path, pins: Sequence[str]) -> None:
        output([python, "-m", "venv", "--without-pip", str(folder)])
        command = [python, "-m", "pip", "--python", str(python_in(folder)), "install", "--quiet"]
        output([*command, "--no-input", "--no-deps", *pins])


def _pinned(entry: dict[str, object]) -> str:
    """One entry of pip's report as a requirement that gives the same again."""
    metadata, source = entry["metadata"], entry["download_info"]
    assert isinstance(metadata, dict)
    assert isinstance(source, dict)
    if entry.get("is_direct"):
        return f"{metadata['name']} @ {source['url']}"
    return f"{metadata['name']}=={metadata['version']}"


class Uv:
    """uv, which keeps one copy of each package for all environments."""

    def __init__(self, uv: str) -> None:
        self.uv = uv

    def resolve(self, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
        command = [self.uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        told = output([*command, "--python", python, "-"], "\n".join(requirements))
        lines = (line.strip() for line in told.splitlines())
        return tuple(sorted(line for line in lines if line))

    def install(self, python: str, folder: Path, pins: Sequence[str]) -> None:
        output([self.uv, "venv", "--quiet", "--python", python, str(folder)])
        command = [self.uv, "pip", "install", "--quiet", "--no-deps", "--python"]
        output([*command, str(python_in(folder)), "-r", "-"], "\n".join(pins))


def python_in(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def output(command: Sequence[str], given: str = "") -> str:
    """What a command prints; raises GateError where it fails."""
    settings = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
    settings.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(command, input=given, text=True, capture_output=True, env=settings)
    except OSError as error:
        raise GateError(f"{command[0]} cannot be started: {error.strerror or error}") from None
    if done.returncode:
        raise GateError(reason(done.stderr or done.stdout))
    return done.stdout


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
