"""The result of a gate as one HTML page that needs nothing else: no network, no other file.

What stands in a result file is text to the page; what it draws it draws itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from invariants.case import Case
from invariants.gate.change import Change, Shown
from invariants.gate.distances import Distances
from invariants.gate.matrix import NOT_GATED, Cell
from invariants.gate.result import Counts, Result
from invariants.oracle.rounding import LAMBDA
from invariants.properties import PROPERTIES
from invariants.report import coverage, gate, picture, plots, svg
from invariants.suite.tally import Tally

_SEVERITIES = ("violation", "known issue", "hazard")


@dataclass(frozen=True)
class Half:
    """One side of a cell of the matrix. ink: its gravest severity; count: of cases."""

    ink: str
    count: str
    told: str


@dataclass(frozen=True)
class Row:
    """A property in all modes of a backend: for each mode the baseline and the candidate."""

    property_: str
    cells: tuple[tuple[str, Half, Half], ...]


@dataclass(frozen=True)
class Plot:
    """A drawing with its numbers. drawn: "" where it cannot be, then `missing` says why.

    note: what the numbers mean.
    """

    title: str
    said: str
    drawn: Markup
    rows: tuple[Distances, ...] = ()
    missing: str = ""
    note: str = ""


@dataclass(frozen=True)
class Story:
    """A change as an article of the page. facts: what is told of it, by name."""

    change: Change
    status: str
    title: str
    facts: tuple[tuple[str, str], ...]
    modes: tuple[str, ...]
    diagram: Markup
    program: str
    repro: str


def text(result: Result, report: Path) -> str:
    """The text of the page, which lies in the folder of the result and names paths from there."""
    environment = Environment(
        loader=PackageLoader("invariants.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(_values(result)) + "\n"


def _values(result: Result) -> dict[str, Any]:
    """What the template names."""
    stories = [_story(change) for change in result.changes]
    return {
        "result": result,
        "verdict": gate.verdict(result),
        "sides": [
            (name, head.asked, gate.versions(head), head.system)
            for name, head in (("baseline", result.baseline), ("candidate", result.candidate))
        ],
        "counts": gate.counts(result.counts),
        "matrices": {b: _rows(b, held, result) for b, held in result.counts.items()},
        "stories": stories,
        "choices": {
            "severity": [s for s in _SEVERITIES if any(s in c.severities for c in result.changes)],
            "status": list(dict.fromkeys(story.status for story in stories)),
            "backend": list(result.counts),
            "mode": sorted({mode for story in stories for mode in story.modes}),
        },
        "plots": [*_plots(result)],
        "waivers": [(waiver, gate.named(waiver.kind)) for waiver in result.waivers],
    }


# --- the matrix -----------------------------------------------------------------------------------


def _rows(backend: str, counts: Counts, result: Result) -> list[Row]:
    """The matrix of a backend; what a gate does not judge has no row."""
    cells = {(c.mode, c.property_): c for c in result.matrix if c.backend == backend}
    modes = counts.modes.items()
    return [
        Row(name, tuple(_cell(mode, cases, cells.get((mode, name))) for mode, cases in modes))
        for name in PROPERTIES
        if name not in NOT_GATED
    ]


def _cell(mode: str, cases: int, cell: Cell | None) -> tuple[str, Half, Half]:
    if cell is None:
        holds = Half("holds", "", f"holds in {cases:,} cases")
        return mode, holds, holds
    return mode, _half(cell.baseline, cell, cases), _half(cell.candidate, cell, cases)


def _half(found: Any, cell: Cell, cases: int) -> Half:
    gravest = next((s for s in _SEVERITIES if found.get(s)), "")
    if not gravest:
        return Half("holds", "", f"holds in {cases:,} cases")
    told = ", ".join(f"{found[s]:,} × {s}" for s in _SEVERITIES if found.get(s))
    issues = f": {', '.join(cell.issues)}" if cell.issues else ""
    return Half(gravest.replace(" ", "-"), f"{found[gravest]:,}", f"{told} in {cases:,}{issues}")


# --- the findings ---------------------------------------------------------------------------------


def _story(change: Change) -> Story:
    shown = change.shown
    case = shown.read() if shown else None
    return Story(
        change=change,
        status="waived" if change.waived else change.status,
        title=gate.named(change.kind),
        facts=tuple(_facts(change, case)),
        modes=tuple(sorted({mode for mode, _ in change.cells})),
        diagram=_diagram(case, shown),
        program=picture.program(case, change.kind.backend, shown.finding.action)
        if case and shown
        else "",
        repro=shown.repro if shown else "",
    )


def _diagram(case: Case | None, shown: Shown | None) -> Markup:
    """The network with what is frozen, the way of the gradient, and the weight it is about."""
    if case is None or shown is None:
        return Markup("")
    flags = case.flags(shown.finding.backend)[max(shown.finding.action, 0)]
    return Markup(svg.draw(case, flags, shown.finding.subject, gradient=True))


def _facts(change: Change, case: Case | None) -> Iterator[tuple[str, str]]:
    if change.waived:
        yield "waived", change.waived
    if change.shown:
        finding = change.shown.finding
        yield "property", finding.property_
        if finding.subject:
            element = "" if finding.element is None else f" at {list(finding.element)}"
            yield "parameter", finding.subject + element
        if case is not None:
            action = f"{finding.action} ({case.program[finding.action].action})"
            yield "action", action if finding.action >= 0 else "before the first"
        yield "expected", _number(finding.expected)
        yield "got", _number(finding.got)
        if finding.spreads is not None and finding.allowed is not None:
            yield "apart", f"{_short(finding.spreads)} spreads, allowed {_short(finding.allowed)}"
        yield (
            "case",
            f"of the {change.shown.side}, "
            + ("reduced" if change.shown.reduced else "as it was drawn or pinned"),
        )
    yield "modes", ", ".join(dict.fromkeys(mode for mode, _ in change.cells))
    yield (
        "cases",
        f"{len(change.baseline):,} of the baseline, {len(change.candidate):,} of the candidate",
    )
    if change.worse:
        yield "where", gate.where(change, Path())
    yield from gate.told(change)


def _number(value: float | str | None) -> str:
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


# --- the plots ------------------------------------------------------------------------------------


def _plots(result: Result) -> Iterator[Plot]:
    for backend, held in result.counts.items():
        mine = [row for row in result.errors if row.backend == backend]
        sides = {s: [r for r in mine if r.by == s] for s in ("baseline", "candidate")}
        yield _ranges(
            f"Error of gradients by family of layers: {backend}",
            f"The worst element of each gradient against the chain rule; at most λ = {LAMBDA:g}.",
            sides,
            LAMBDA,
        )
        for by, what in (("layers", "family of layers"), ("mode", "mode")):
            rows = [row for row in result.drift if row.backend == backend and row.by == by]
            plot = _ranges(
                f"Drift between the versions by {what}: {backend}",
                "Where neither is wrong: the worst element of each gradient and weight whose bits "
                f"differ; at most 2λ = {2 * LAMBDA:g}.",
                {"candidate": rows},
                2 * LAMBDA,
            )
            yield replace(plot, note=gate.DRIFT)
        tally = Tally(cases=held.cases)
        tally.reach.update(held.reach)
        drawn = Markup(coverage.plot(backend, tally))
        yield Plot(f"Coverage: {backend}", "Which layers the cases met, and where.", drawn)


def _ranges(title: str, said: str, series: dict[str, list[Distances]], limit: float) -> Plot:
    rows = tuple(row for held in series.values() for row in held)
    if not plots.available():
        missing = "There is no matplotlib here: pip install 'freeze-invariants[report]' draws it."
        return Plot(title, said, Markup(""), rows, missing)
    drawn = Markup(plots.ranges(series, limit, title))
    missing = "" if drawn else "All of it is equal, to the bit." if rows else "There is none."
    return Plot(title, said, drawn, rows, missing)
