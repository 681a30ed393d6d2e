"""The result of a gate in the terminal: the verdict last, where one looks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from invariants.gate.comparison import Change, Kind
from invariants.gate.drift import Drift
from invariants.gate.recording import Head
from invariants.gate.result import Counts, Result
from invariants.hazards import HAZARDS
from invariants.ledger import known_issues

#: What a change is called, by its status, and how it is coloured.
_WORDS = {
    "new": ("new in the candidate", "bold red"),
    "unmasked": ("seen on one side alone, where the other could not be judged", "yellow"),
    "gone": ("gone in the candidate", "green"),
    "both": ("in both", "dim"),
}


def versions(head: Head) -> str:
    """What an environment has, in a line."""
    packages = dict(pair for held in head.packages.values() for pair in held.items())
    named = [f"{name} {version}" for name, version in packages.items()]
    return ", ".join([*named, f"Python {head.python}"])


def title(kind: str) -> str:
    """What an issue or a hazard is about."""
    entries: dict[str, str] = {issue.id: issue.title for issue in known_issues()}
    entries |= {hazard.id: hazard.title for hazard in HAZARDS}
    return entries.get(kind, "")


def instead(kind: str) -> str:
    """What to do instead."""
    entries: dict[str, str] = {issue.id: issue.instead for issue in known_issues()}
    entries |= {hazard.id: hazard.instead for hazard in HAZARDS}
    return entries.get(kind, "")


def _count(names: Sequence[str]) -> str:
    return f"{len(names):,}" if names else "–"


def named(kind: Kind) -> str:
    """A kind of finding in words."""
    if kind.issue:
        return f"{kind.issue}: {title(kind.issue)}"
    return f"{kind.property_}: {kind.what}"


def _told(change: Change) -> str:
    """A row of the table: what is known has a title, all else an example."""
    said = named(change.kind)
    return said if change.kind.issue else f"{said}: {change.example}"


def _severity(change: Change) -> str:
    """What either side calls it."""
    before, after = change.severities
    return before if before == after or not after else after if not before else f"{before}, {after}"


def changes(found: Iterable[Change]) -> Table:
    """One row for each kind of finding that is not in both, and in how many cases it shows."""
    drawn = Table(title="what has changed", title_justify="left")
    for column in ("", "backend", "kind", "what", "baseline", "candidate"):
        justify = "right" if column in ("baseline", "candidate") else "left"
        drawn.add_column(column, justify=justify)  # type: ignore[arg-type]
    for change in found:
        style = _WORDS[change.status][1]
        drawn.add_row(
            Text(change.status, style=style),
            change.kind.backend,
            _severity(change),
            Text(_told(change)),
            _count(change.baseline),
            _count(change.candidate),
        )
    return drawn


def drift(rows: Iterable[Drift], by: str, called: str) -> Table:
    """How far the numbers of the two are apart, by family of layers or by mode."""
    drawn = Table(title=f"drift, {called}", title_justify="left")
    drawn.add_column("backend")
    drawn.add_column(by)
    for column in ("arrays", "same bits", "median apart", "largest"):
        drawn.add_column(column, justify="right")
    for row in rows:
        if row.by == by:
            apart = (f"{row.median:.2g} σ", f"{row.largest:.2g} σ") if row.apart else ("", "")
            drawn.add_row(row.backend, row.name, f"{row.arrays:,}", f"{row.equal:.1%}", *apart)
    return drawn


def counts(found: Mapping[str, Counts]) -> list[str]:
    """How much was judged, one line a backend."""
    lines = []
    for backend, held in found.items():
        died = "".join(
            f", {count:,} {'case' if count == 1 else 'cases'} ended the {side}'s process"
            for side, count in zip(("baseline", "candidate"), held.died, strict=True)
            if count
        )
        lines.append(
            f"{backend}: {held.cases:,} cases on either side, "
            f"{held.gradients[0]:,} and {held.gradients[1]:,} gradients, "
            f"{held.elements[0]:,} and {held.elements[1]:,} elements{died}"
        )
    return lines


def _in_both(result: Result) -> list[str]:
    held = [change for change in result.changes if change.status == "both"]
    named = [c.kind.issue or f"{c.kind.property_} ({c.kind.what})" for c in held]
    return [f"in both: {', '.join(named)}"] if named else []


def _points(result: Result) -> list[str]:
    return [
        f"contract of {p.backend}: {p.point} is {p.baseline!r} in the baseline and "
        f"{p.candidate!r} in the candidate ({p.issue})"
        for p in result.points
    ]


def _offers(result: Result) -> list[str]:
    return [
        f"the {offer.lacking} alone lacks, of {offer.backend}: {offer.what} ({offer.cases:,} cases)"
        for offer in result.offers
    ]


def _stories(result: Result, report: Path) -> list[Text]:
    """Each change for the worse, with what to do and where its case is."""
    lines = []
    for change in result.changes:
        if not change.worse:
            continue
        lines.append(Text(f"new: {named(change.kind)}", style="bold red"))
        if instead(change.kind.issue):
            lines.append(Text(f"  instead: {' '.join(instead(change.kind.issue).split())}"))
        folder = result.folders.get(change.kind)
        shown = (
            f"  case and script: {report / folder}"
            if folder
            else (
                "  it did not show again on its own: run its case "
                f"{change.decisive[0]} among the others to see it"
            )
        )
        lines.append(Text(shown))
    return lines


def closing(result: Result, report: Path, seconds: float) -> list[RenderableType]:
    """Everything that stands at the end of a gate."""
    moved = [change for change in result.changes if change.status != "both"]
    parts: list[RenderableType] = [changes(moved)] if moved else []
    if result.drifts:
        parts += [
            drift(result.drifts, "layers", "by family of layers"),
            drift(result.drifts, "mode", "by mode"),
        ]
    parts += [Text(line, style="dim") for line in (*counts(result.counts), *_in_both(result))]
    parts += [Text(line, style="yellow") for line in (*_points(result), *_offers(result))]
    parts += _stories(result, report)
    numbers = {
        status: sum(change.status == status for change in result.changes) for status in _WORDS
    }
    said = ", ".join(f"{n} {_WORDS[status][0]}" for status, n in numbers.items() if n)
    verdict = "worse" if result.worse else "no worse"
    style = "bold red" if result.worse else "bold green"
    line = Text(f"the candidate is {verdict}", style=style)
    parts.append(line + Text(f"{': ' if said else ''}{said} ({seconds:.1f} s)"))
    return parts
