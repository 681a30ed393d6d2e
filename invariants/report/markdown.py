"""What a gate has found as Markdown, fit for the summary of a job: the verdict stands first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from invariants.gate.change import Change, Kind
from invariants.gate.distances import Distances
from invariants.gate.result import Result
from invariants.report import picture
from invariants.report.gate import (
    DRIFT,
    counts,
    named,
    title,
    told,
    told_of,
    verdict,
    versions,
    where,
)

_MARKS = {"worse": "❌", "no worse": "✅", "undecided": "⚠️"}

#: A summary holds 1 MiB; whatever is beyond so many findings is in the other reports.
_STORIES = 20


def text(result: Result, report: Path) -> str:
    """The text of the file; `report` is the folder of the result."""
    lines = [f"## {_MARKS[result.verdict]} {_plain(verdict(result)).capitalize()}", ""]
    sides = (("baseline", result.baseline), ("candidate", result.candidate))
    rows = [[name, _code(head.asked), _plain(versions(head))] for name, head in sides]
    lines += _table(["side", "asked for", "versions"], rows)
    lines += [_plain(line) + "  " for line in counts(result.counts)] + [""]
    moved = [change for change in result.changes if change.status != "both"]
    if moved:
        lines += ["### What has changed", "", *_changes(moved)]
    for change in result.worse[:_STORIES]:
        lines += _story(change, report)
    if len(result.worse) > _STORIES:
        lines += [f"… and {len(result.worse) - _STORIES} more, in report.html.", ""]
    if len(moved) < len(result.changes):
        lines += _in_both([c.kind for c in result.changes if c.status == "both"])
    lines += _told(result)
    if result.drift:
        lines += ["### Drift", "", *_drift(result.drift), _plain(DRIFT), ""]
    return "\n".join(lines).rstrip() + "\n"


#: A word that Markdown would read as more than a word, without the punctuation around it.
_MARKED = re.compile(r"[^\s()]*[\\`*_\[\]<>|~#$/](?:\([^\s()]*\)|[^\s()])*(?<![.,;:])")


def _plain(words: str) -> str:
    """Text as it is, within a cell of a table too: paths, identifiers and the like are code."""
    return _MARKED.sub(lambda found: _code(found[0]), " ".join(words.split()))


def _code(words: str) -> str:
    """In a font of code, within a cell of a table too."""
    return f"`{' '.join(words.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _changes(moved: Iterable[Change]) -> Iterator[str]:
    head = ["", "backend", "severity", "what", "cases of the baseline", "of the candidate"]
    rows = [
        [
            "waived"
            if change.waived
            else f"**{change.status}**"
            if change.worse
            else change.status,
            change.kind.backend,
            change.severity,
            _kind(change.kind),
            str(len(change.baseline)),
            str(len(change.candidate)),
        ]
        for change in moved
    ]
    yield from _table(head, rows)


def _kind(kind: Kind) -> str:
    """A kind of finding in words, its name as code."""
    return f"{_code(kind.rule)}: {_plain(title(kind.issue) if kind.issue else kind.what)}"


def _in_both(kinds: Sequence[Kind]) -> list[str]:
    """A list to fold out."""
    head = f"<details><summary>{len(kinds):,} in both</summary>"
    listed = [f"- {kind.backend}: {_kind(kind)}" for kind in kinds]
    return [head, "", *listed, "", "</details>", ""]


def _story(change: Change, report: Path) -> Iterator[str]:
    """A finding to fold out: expected, got, where its script is, and its network."""
    yield f"<details><summary>new: {_html(named(change.kind))}</summary>"
    yield ""
    yield f"- {_code(change.example)}"
    yield f"- {_plain(where(change, report))}"
    for name, said in told(change):
        yield f"- {name}: {_plain(said)}"
    yield ""
    case = change.shown.read() if change.shown else None
    if case is not None and change.shown is not None:
        finding = change.shown.finding
        flags = case.flags(finding.backend)[max(finding.action, 0)]
        program = picture.program(case, finding.backend, finding.action)
        drawing = picture.text(case, flags, finding.subject)
        yield from ["```text", *f"{program}\n\n{drawing}".splitlines(), "```", ""]
    yield "</details>"
    yield ""


def _html(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _told(result: Result) -> Iterator[str]:
    lines = [
        f"contract of {p.backend}: {_code(p.point)} is {_code(repr(p.baseline))} in the baseline "
        f"and {_code(repr(p.candidate))} in the candidate ({_code(p.issue)})"
        for p in result.points
    ]
    lines += [
        f"the {offer.lacking} alone lacks, of {offer.backend}: {_plain(offer.what)} "
        f"({offer.cases:,} cases)"
        for offer in result.offers
    ]
    lines += [f"waived: {_kind(c.kind)}: {_plain(c.waived)}" for c in result.changes if c.waived]
    lines += [_plain(told_of(waiver)) for waiver in result.waivers if waiver.state != "in use"]
    if lines:
        yield from [*(f"- {line}" for line in lines), ""]


def _drift(rows: Iterable[Distances]) -> Iterator[str]:
    head = ["backend", "of", "arrays", "same bits", "median apart", "largest"]
    yield from _table(
        head,
        [
            [
                row.backend,
                f"{row.by}: {row.name}",
                f"{row.arrays:,}",
                f"{row.share:.1%}",
                f"{row.median:.2g} σ" if row.equal < row.arrays else "",
                f"{float(row.largest):.2g} σ" if row.equal < row.arrays else "",
            ]
            for row in rows
        ],
    )
