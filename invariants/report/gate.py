"""The result of a gate in the terminal: the verdict last, where one looks for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from invariants.backends import BACKENDS
from invariants.gate.change import Change, Kind
from invariants.gate.distances import Distances
from invariants.gate.recording import Head
from invariants.gate.result import Counts, Result
from invariants.gate.waivers import Used
from invariants.hazards import HAZARDS, Hazard
from invariants.ledger import KnownIssue, known_issues, repro
from invariants.oracle.rounding import LAMBDA

#: What a change is called, by its status, and how it is coloured.
_WORDS = {
    "new": ("new in the candidate", "bold red"),
    "unmasked": ("seen on one side alone, where the other could not be judged", "yellow"),
    "gone": ("gone in the candidate", "green"),
    "both": ("in both", "dim"),
}

#: What the numbers of drift mean.
DRIFT = (
    "σ is the spread of an element: about as far as rounding moves it, so that two right ones are "
    f"at most 2λ = {2 * LAMBDA:g} σ apart. Same bits: each element of an array is its twin to the "
    "bit. 0 σ: bits differ, but only in elements of which nothing can be said, since σ is infinite "
    "there (numbers that may have left the range of their dtype, training that may go either way), "
    "or in the sign of a zero."
)

#: Why one side may have more to judge than the other.
_UNEQUAL = "; a side is judged up to what it raises at, lacks, or does otherwise than expected"

#: What an environment that was not asked yet was made from.
_FRAMEWORKS = tuple(package for backend in BACKENDS.values() for package in backend.PACKAGES)

#: How many are named of what is in both.
_FEW = 5

_VERDICTS = {"worse": "bold red", "no worse": "bold green", "undecided": "bold yellow"}


def versions(head: Head) -> str:
    """What an environment has, in a line."""
    packages = dict(pair for held in head.packages.values() for pair in held.items())
    pinned = dict(pin.split("==", 1) for pin in head.pins if "==" in pin)
    packages = packages or {name: pinned[name] for name in _FRAMEWORKS if name in pinned}
    named = [f"{name} {version}" for name, version in packages.items()]
    named += [f"Python {head.python}"] if head.python else []
    return ", ".join(named) or "versions unknown"


def _entries(named: str) -> Iterator[KnownIssue | Hazard]:
    """The issues and hazards of a name; where only several explain a finding, all of them."""
    entries: dict[str, KnownIssue | Hazard] = {entry.id: entry for entry in known_issues()}
    entries |= {hazard.id: hazard for hazard in HAZARDS}
    return (entries[name] for name in named.split(" + ") if name in entries)


def title(named: str) -> str:
    """What an issue or a hazard is about."""
    return "; ".join(entry.title for entry in _entries(named))


def advice(named: str) -> Iterator[tuple[str, str]]:
    """What to do instead, and the script of a known issue that shows it on the framework alone."""
    for entry in _entries(named):
        yield "instead", " ".join(entry.instead.split())
        script = repro(entry) if isinstance(entry, KnownIssue) else None
        if script:
            yield "shown by", f"invariants/known_issues/{script.name}"


def told(change: Change) -> Iterator[tuple[str, str]]:
    """What is to be said of a change: what it counts as where one may wonder, and advice."""
    if change.worse and change.kind.issue:
        yield "counts as", "worse: it is known, but the baseline does not have it"
    yield from advice(change.kind.issue)


def _count(names: Sequence[str]) -> str:
    return f"{len(names):,}" if names else "–"


def named(kind: Kind) -> str:
    """A kind of finding in words."""
    if kind.issue:
        return f"{kind.issue}: {title(kind.issue)}".removesuffix(": ")
    return f"{kind.property_}: {kind.what}"


def _told(change: Change) -> str:
    """A row of the table: what is known has a title, all else an example."""
    said = named(change.kind)
    return said if change.kind.issue else f"{said}: {change.example}"


def changes(found: Iterable[Change]) -> Table:
    """One row for each kind of finding that is not in both, and in how many cases it shows."""
    drawn = Table(title="what has changed", title_justify="left")
    for column in ("", "backend", "kind", "what", "baseline", "candidate"):
        justify = "right" if column in ("baseline", "candidate") else "left"
        drawn.add_column(column, justify=justify)  # type: ignore[arg-type]
    for change in found:
        style = "yellow" if change.waived else _WORDS[change.status][1]
        drawn.add_row(
            Text("waived" if change.waived else change.status, style=style),
            change.kind.backend,
            change.severity,
            Text(_told(change)),
            _count(change.baseline),
            _count(change.candidate),
        )
    return drawn


def drift(rows: Iterable[Distances], by: str, called: str) -> Table:
    """How far the numbers of the two are apart, by family of layers or by mode."""
    drawn = Table(title=f"drift, {called}", title_justify="left")
    drawn.add_column("backend")
    drawn.add_column(by)
    for column in ("arrays", "same bits", "median apart", "largest"):
        drawn.add_column(column, justify="right")
    for row in rows:
        if row.by == by:
            some = row.equal < row.arrays
            apart = (f"{row.median:.2g} σ", f"{float(row.largest):.2g} σ") if some else ("", "")
            drawn.add_row(row.backend, row.name, f"{row.arrays:,}", f"{row.share:.1%}", *apart)
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
        unequal = len({*held.gradients}) + len({*held.elements}) > 2
        lines.append(
            f"{backend}: {held.cases:,} cases on either side, "
            f"{held.gradients[0]:,} and {held.gradients[1]:,} gradients, "
            f"{held.elements[0]:,} and {held.elements[1]:,} elements{died}"
            f"{_UNEQUAL if unequal else ''}"
        )
    return lines


def _wrapped(line: str) -> RenderableType:
    """A line that nobody copies: it may be broken, where others are left to the terminal."""
    return Group(Text(line, style="dim", no_wrap=False, overflow="fold"))


def _in_both(result: Result) -> list[str]:
    held = [change.kind for change in result.changes if change.status == "both"]
    first = ", ".join(k.issue or f"{k.property_} ({k.what})" for k in held[:_FEW])
    more = f", … and {len(held) - _FEW:,} more" if len(held) > _FEW else ""
    return [f"{len(held):,} in both: {first}{more}"] if held else []


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


def told_of(waiver: Used) -> str:
    """What has become of a waiver, where it is not simply in use."""
    if waiver.state == "expired":
        return f"a waiver has expired on {waiver.expires}: {named(waiver.kind)}"
    return f"a waiver is stale, nothing new needs it: {named(waiver.kind)}"


def _waivers(result: Result) -> list[str]:
    waived = [
        f"waived: {named(change.kind)}: {change.waived}"
        for change in result.changes
        if change.waived
    ]
    return [*waived, *(told_of(w) for w in result.waivers if w.state != "in use")]


def _stories(result: Result, report: Path) -> list[Text]:
    """Each change for the worse, with what to do and where its case is."""
    lines = []
    for change in result.worse:
        lines.append(Text(f"new: {named(change.kind)}", style="bold red"))
        lines += [Text(f"  {name}: {said}") for name, said in told(change)]
        lines.append(Text(f"  {where(change, report)}"))
    return lines


def where(change: Change, report: Path) -> str:
    """Where the case of a change is; `report` is the folder of the result."""
    if change.folder:
        return f"script, beside its case: {file(change, report)}"
    return (
        "it did not show again on its own: run its case "
        f"{change.decisive[0]} among the others to see it"
    )


def file(change: Change, report: Path) -> Path:
    """The script of a change, or the result where it has none: from the working directory on.

    What is not below that directory has an absolute path.
    """
    path = report / change.folder / "repro.py" if change.folder else report / "result.json"
    here, absolute = Path.cwd(), Path(os.path.abspath(path))
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def verdict(result: Result) -> str:
    """The verdict in a line, and what it rests on."""
    numbers = {
        word: sum(c.status == status and not c.waived for c in result.changes)
        for status, (word, _) in _WORDS.items()
    }
    numbers["waived"] = sum(bool(change.waived) for change in result.changes)
    said = ", ".join(f"{n} {word}" for word, n in numbers.items() if n)
    parts = [f"the candidate is {result.verdict}"]
    if result.verdict == "undecided":
        parts = ["it is undecided whether the candidate is worse"]
    parts += [said] if said else []
    parts += [_interrupted(result)] if result.interrupted else []
    return ": ".join(parts[:2]) + "".join(f"; {part}" for part in parts[2:])


def _interrupted(result: Result) -> str:
    """In which part a gate was interrupted, and how far it was in it."""
    said, ran = f"interrupted while {result.interrupted}", result.ran
    if ran is None:
        return said
    if result.interrupted == "judging":
        judged = sum(counts.cases for counts in result.counts.values())
        return f"{said}, {judged:,} of {ran.cases:,} cases are judged"
    return (
        f"{said}, {ran.baseline:,} of {ran.cases:,} cases have run in the baseline and "
        f"{ran.candidate:,} in the candidate"
    )


def closing(result: Result, report: Path) -> list[RenderableType]:
    """Everything that stands at the end of a gate whose report is in the folder `report`."""
    moved = [change for change in result.changes if change.status != "both"]
    parts: list[RenderableType] = [changes(moved)] if moved else []
    if result.drift:
        parts += [
            drift(result.drift, "layers", "by family of layers"),
            drift(result.drift, "mode", "by mode"),
            _wrapped(DRIFT),
        ]
    parts += [_wrapped(line) for line in (*counts(result.counts), *_in_both(result))]
    told = (*_points(result), *_offers(result), *_waivers(result))
    parts += [Text(line, style="yellow") for line in told]
    parts += _stories(result, report)
    line = Text(verdict(result), style=_VERDICTS[result.verdict])
    parts.append(line + Text(f" ({result.seconds:.1f} s)"))
    return parts


def text(result: Result, report: Path) -> str:
    """All of it as plain text; `report` is the folder of the result."""
    console = Console(file=StringIO(), width=110, soft_wrap=True, color_system=None)
    with console.capture() as captured:
        for name, head in (("baseline", result.baseline), ("candidate", result.candidate)):
            line = f"{name} ({head.asked}): {versions(head)}"
            console.print(line, markup=False, highlight=False)
        for part in closing(result, report):
            console.print(part, highlight=False)
    return captured.get()
