"""The reports that are made of the result of a gate, each from the result file alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from invariants.gate.result import Result
from invariants.report import gate, github, junit, markdown, page, sarif

#: name -> the text of a report; given the result, and the folder that it is in.
FORMATS: dict[str, Callable[[Result, Path], str]] = {
    "terminal": gate.text,
    "markdown": markdown.text,
    "junit": junit.text,
    "sarif": sarif.text,
    "html": page.text,
    "annotations": github.text,
}

#: Which of them a gate writes beside its result, and as what.
_FILES = {
    "markdown": "report.md",
    "junit": "junit.xml",
    "sarif": "report.sarif",
    "html": "report.html",
}


def render(name: str, result: Result, report: Path) -> str:
    """The text of a report, which ends with a line; `report` is the folder of the result."""
    return FORMATS[name](result, report)


def files(result: Result, report: Path) -> dict[Path, str]:
    """The files that stand beside a result in its folder, with their texts."""
    return {report / file: render(name, result, report) for name, file in _FILES.items()}
