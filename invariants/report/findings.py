"""A finding as a person sees it: in the terminal, and as a folder with everything to replay it."""

from __future__ import annotations

import json
from pathlib import Path

from invariants.backends import versions
from invariants.backends.places import HERE, Place
from invariants.case import Case
from invariants.finding import Finding
from invariants.gate.writing import written
from invariants.judge import Verdict
from invariants.ledger import issues_named, known_issues, repro
from invariants.report import picture, svg
from invariants.report.repro import script

#: What stands in the folder of a finding.
FILES = ("case.json", "repro.py", "finding.json", "picture.svg")


def _number(value: float | str | None) -> str:
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def text(case: Case, finding: Finding) -> str:
    """Which property, where, which parameter, expected, got, how far apart, and a picture."""
    rows = [("where", _where(case, finding))]
    if finding.subject:
        element = "" if finding.element is None else f" at {list(finding.element)}"
        rows.append(("parameter", finding.subject + element))
    rows += [
        (label, _number(value))
        for label, value in zip(_labels(finding), (finding.expected, finding.got), strict=True)
    ]
    if finding.spreads is not None and finding.allowed is not None:
        rows.append(("apart", f"{finding.spreads:.4g} spreads, allowed {finding.allowed:.3g}"))
    if finding.issue:
        rows.append(("known as", finding.issue))
        paths = map(repro, issues_named([finding], known_issues()))
        rows += [("shown by", str(path)) for path in paths if path]
    head = f"{finding.severity}: {finding.property_} on {finding.backend}: {finding.message}"
    width = max(10, *(len(name) for name, _ in rows))
    body = [f"  {name:<{width}} {value}" for name, value in rows]
    flags = case.flags(finding.backend)[max(finding.action, 0)]
    drawing = picture.text(case, flags, finding.subject)
    program = picture.program(case, finding.backend, finding.action)
    blocks = [f"    {line}" for line in (*program.splitlines(), "", *drawing.splitlines())]
    return "\n".join([head, *body, "", *(line.rstrip() for line in blocks)])


def _labels(finding: Finding) -> tuple[str, str]:
    """What the two values are: where two points should agree, neither is the right one."""
    if finding.relation != "same_bits" or finding.earlier is None:
        return "expected", "got"
    earlier = "as loaded" if finding.earlier < 0 else f"at action {finding.earlier}"
    return earlier, f"at action {finding.action}"


def _where(case: Case, finding: Finding) -> str:
    if finding.action < 0:
        return "before the first action"
    return f"action {finding.action} ({case.program[finding.action].action})"


def foremost(verdict: Verdict) -> Finding:
    """The finding that a folder is named by and its script shows."""
    return (verdict.violations or verdict.findings)[0]


def name(verdict: Verdict) -> str:
    """The name of its folder."""
    finding = foremost(verdict)
    return f"{finding.property_}-{finding.backend}-{verdict.evidence.case.name}"


def write(folder: Path, verdict: Verdict, place: Place = HERE) -> Path:
    """Writes FOLDER/findings/NAME with case.json, repro.py, finding.json and picture.svg.

    place: where the case ran. Raises OSError.
    """
    case = verdict.evidence.case
    finding = foremost(verdict)
    target = folder / "findings" / name(verdict)
    flags = case.flags(finding.backend)[max(finding.action, 0)]
    found = [f.document() for f in verdict.findings]
    texts = (
        case.to_json(),
        script(case, finding, versions(finding.backend, place)),
        json.dumps(found, indent=1) + "\n",
        svg.draw(case, flags, finding.subject),
    )
    target.mkdir(parents=True, exist_ok=True)
    written({target / file: text for file, text in zip(FILES, texts, strict=True)})
    return target
