"""What a gate has found as GitHub's workflow commands: each an annotation of the run.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from invariants.gate.result import Result
from invariants.report.gate import file, named, told, told_of, verdict


def text(result: Result, report: Path) -> str:
    """One line for each new finding, each waiver to look at, and an undecided gate."""
    return "".join(f"{line}\n" for line in _lines(result, report))


def _lines(result: Result, report: Path) -> Iterator[str]:
    for change in result.worse:
        said = [named(change.kind), change.example]
        said += [f"{name}: {text}" for name, text in told(change)]
        message = "\n".join(" ".join(part.split()) for part in said if part)
        title = f"new in the candidate: {change.kind.rule}"
        yield _command("error", message, title, file(change, report))
    for waiver in result.waivers:
        if waiver.state != "in use":
            yield _command("warning", told_of(waiver), f"waiver {waiver.state}")
    if result.interrupted:
        yield _command("error", verdict(result), "the gate was interrupted")


def _command(kind: str, message: str, title: str, of: Path | None = None) -> str:
    fields = {"file": of.as_posix(), "line": "1"} if of else {}
    told = ",".join(f"{name}={_field(text)}" for name, text in {**fields, "title": title}.items())
    return f"::{kind} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _field(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
