"""What differs between two sides: each kind of finding is new in the candidate, gone in it, or in
both; and the points of the contract that changed with it.

A kind of finding is a known issue, a hazard, or what a property says of some weight. One side may
stop short of what the other shows (a layer that it lacks, an action that it raises at, a hazard in
place of which it does something graver): what shows behind that is unmasked, neither new nor gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from invariants.finding import Finding
from invariants.gate.change import Change, ChangedPoint, Kind, Status
from invariants.gate.judging import Judged
from invariants.ledger import KnownIssue, known_issues
from invariants.oracle.contract import CONTRACTS

#: What is told of one case alone: a number.
_VALUE = re.compile(r"; the chain rule gives \S+$")


def kinds(finding: Finding) -> tuple[Kind, ...]:
    """The kinds that a finding is of: each issue that explains it, or what it says itself."""
    if finding.issue:
        return tuple(Kind(finding.backend, "", name, "") for name in finding.issue.split(" + "))
    what = _VALUE.sub("", finding.message)
    if finding.subject:
        what = what.replace(finding.subject, "a weight")
    return (Kind(finding.backend, finding.property_, "", what),)


def compared(
    pairs: Sequence[tuple[Judged, Judged]], installed: Mapping[str, Sequence[Mapping[str, str]]]
) -> list[Change]:
    """Every kind of finding, the new ones first.

    installed: backend -> the versions of its packages in the baseline and in the candidate.
    """
    shown: dict[Kind, tuple[dict[str, Finding], dict[str, Finding]]] = {}
    for pair in pairs:
        for number, side in enumerate(pair):
            for finding in side.findings:
                for kind in kinds(finding):
                    held = shown.setdefault(kind, ({}, {}))[number]
                    held.setdefault(side.entry.name, finding)
    by_name = {pair[0].entry.name: pair for pair in pairs}
    changes = [
        _change(kind, before, after, by_name, _both_have(kind, installed))
        for kind, (before, after) in shown.items()
    ]
    order = {"new": 0, "unmasked": 1, "gone": 2, "both": 3}
    return sorted(changes, key=lambda change: (order[change.status], change.kind))


def _change(
    kind: Kind,
    before: Mapping[str, Finding],
    after: Mapping[str, Finding],
    pairs: Mapping[str, tuple[Judged, Judged]],
    both_have: bool,
) -> Change:
    came = [name for name in after if name not in before]
    went = [name for name in before if name not in after]
    # An issue that shows on both sides, or that both are known to have, shows where it is met.
    if both_have or (kind.issue and before and after):
        came, went = [], []
    appeared = [n for n in came if was_seen(pairs[n][0], after[n])]
    vanished = [n for n in went if was_seen(pairs[n][1], before[n])]
    status: Status = "both"
    if appeared:
        status = "new"
    elif vanished and not after:
        status = "gone"
    elif not both_have and not (before and after):
        status = "unmasked"
    severities = (_severity(before.values()), _severity(after.values()))
    decisive = {"new": appeared, "gone": vanished, "unmasked": came or went}.get(status, [])
    shown = {**before, **after}
    return Change(
        kind=kind,
        status=status,
        severities=severities,
        baseline=tuple(before),
        candidate=tuple(after),
        decisive=tuple(decisive),
        example=_example(shown[decisive[0] if decisive else next(iter(shown))]),
        cells=_cells(kind, [pairs[name] for name in decisive or shown]),
    )


def _cells(kind: Kind, showing: Iterable[tuple[Judged, Judged]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted(
            {
                (side.mode, finding.property_)
                for pair in showing
                for side in pair
                for finding in side.findings
                if kind in kinds(finding)
            }
        )
    )


def _example(finding: Finding) -> str:
    return f"expected {finding.expected}, got {finding.got}"


def was_seen(other: Judged, finding: Finding) -> bool:
    """Whether the other side was judged so far that it would have shown the finding.

    What moves a weight otherwise than documented leaves nothing to tell of a documented move.
    """
    hidden = finding.severity == "hazard" and any(f.key == finding.key for f in other.findings)
    return finding.action <= other.end and not other.lacking and not hidden


def _severity(findings: Iterable[Finding]) -> str:
    """The gravest of them."""
    named = {finding.severity for finding in findings}
    return next((s for s in ("violation", "known issue", "hazard") if s in named), "")


def _both_have(kind: Kind, installed: Mapping[str, Sequence[Mapping[str, str]]]) -> bool:
    """Whether the ledger says it of either side."""
    issue = _issue(kind.issue)
    return issue is not None and all(issue.applies(dict(v)) for v in installed[kind.backend])


def _issue(name: str) -> KnownIssue | None:
    return next((issue for issue in known_issues() if issue.id == name), None)


def changed_points(changes: Iterable[Change]) -> list[ChangedPoint]:
    """The points of the contracts that an issue changes on one side alone."""
    found = []
    for change in changes:
        issue = _issue(change.kind.issue)
        if issue is None or change.status not in ("new", "gone"):
            continue
        for point, value in issue.as_if.items():
            documented = CONTRACTS[issue.backend].clauses[point].value
            sides = (value, documented) if change.status == "gone" else (documented, value)
            found.append(ChangedPoint(issue.backend, point, documented, *sides, issue.id))
    return found


def documented_otherwise(
    installed: Mapping[str, Sequence[Mapping[str, str]]],
) -> list[ChangedPoint]:
    """The points that the releases of the two sides document otherwise.

    installed: backend -> the versions of its packages in the baseline and in the candidate.
    """
    found = []
    for backend, sides in installed.items():
        today = CONTRACTS[backend]
        before, after = (today.of(versions) for versions in sides)
        release = before.release or after.release
        for point in today.clauses:
            old, new = before[point], after[point]
            if old != new:
                found.append(ChangedPoint(backend, point, today[point], old, new, release))
        for name in sorted(before.means.keys() ^ after.means.keys()):
            option, _, today_s = name.partition("=")
            old, new = (
                one.means[name].value if name in one.means else today_s for one in (before, after)
            )
            point = f"{option} by default"
            found.append(ChangedPoint(backend, point, today_s, old, new, release))
    return found
