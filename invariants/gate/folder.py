"""The folder of a report: what is the gate's own among the findings there, and what is not.

Each is named in a list before it is written, so that a later gate, also behind one that was killed,
takes away what an earlier one has left and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from invariants.gate.errors import GateError
from invariants.report.findings import FILES

_LIST = "findings.txt"

#: What says the verdict of a gate, beside its findings.
REPORTS = ("result.json", "report.html", "report.md", "junit.xml", "report.sarif")


def named(report: Path, folder: str) -> None:
    """Notes that a folder of a finding is about to be written."""
    report.mkdir(parents=True, exist_ok=True)
    with (report / _LIST).open("a", encoding="utf-8") as file:
        file.write(f"{folder}\n")


def checked(report: Path) -> None:
    """Raises GateError where something is among the findings that no gate has written."""
    try:
        other = next(_others(report), None)
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(
            f"cannot read what a gate has left in {report}: {getattr(error, 'strerror', error)}"
        ) from None
    if other is not None:
        raise GateError(
            f"{other} is not of a gate: name another folder with --report, or take it away"
        )


def cleared(report: Path) -> None:
    """Takes away the findings of an earlier gate; raises GateError where others are among them."""
    checked(report)
    try:
        for folder in _folders(report):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        (report / _LIST).unlink(missing_ok=True)
    except OSError as error:
        raise GateError(f"cannot write to {report}: {error.strerror or error}") from None


def unsaid(report: Path) -> None:
    """Takes away the verdict of an earlier gate, which is none of the one that begins."""
    try:
        for name in REPORTS:
            (report / name).unlink(missing_ok=True)
    except OSError as error:
        raise GateError(f"cannot write to {report / name}: {error.strerror or error}") from None


def _folders(report: Path) -> list[Path]:
    findings = report / "findings"
    return sorted(findings.iterdir()) if findings.is_dir() else []


def _others(report: Path) -> Iterator[Path]:
    """What stands in findings/ and no gate has written."""
    noted = report / _LIST
    own = noted.read_text("utf-8").splitlines() if noted.is_file() else []
    for folder in _folders(report):
        if folder.name not in own or folder.is_symlink() or not folder.is_dir():
            yield folder
        else:
            yield from (file for file in sorted(folder.iterdir()) if file.name not in FILES)
