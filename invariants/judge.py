"""From a case to a verdict: render, run, expect, judge, label. The one way through the house."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from invariants import ledger
from invariants.backends import BACKENDS, observe, versions
from invariants.backends.places import HERE, Place
from invariants.case import Case
from invariants.finding import Finding
from invariants.observation import Observation
from invariants.oracle.contract import CONTRACTS
from invariants.properties import PROPERTIES, findings
from invariants.properties.evidence import Evidence
from invariants.recall import expected


@dataclass(frozen=True)
class Measures:
    """How much one verdict rests on: what was judged, and how close it came.

    largest: the largest |error| / σ of an element that has a spread and no finding on it.
    """

    gradients: int
    elements: int
    uninformative: int
    largest: float


@dataclass(frozen=True)
class Verdict:
    """The outcome of one case on one backend."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    measures: Measures

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "violation")


class InvariantViolated(AssertionError):
    """A case violates an invariant; `verdict` has the findings.

    Each property raises a subclass of its own, so that Hypothesis tells them apart.
    """

    verdict: Verdict

    def __init__(self, verdict: Verdict, story: str = "") -> None:
        lines = [_line(finding) for finding in verdict.violations]
        super().__init__("\n".join([*lines, "", story] if story else lines))
        self.verdict = verdict


def _line(finding: Finding) -> str:
    where = f"{finding.backend}, action {finding.action}"
    values = f"expected {finding.expected}, got {finding.got}"
    spreads = "" if finding.spreads is None else f" ({finding.spreads:.3g} spreads apart)"
    return f"{finding.property_}: {finding.message} [{where}]: {values}{spreads}"


def _class_name(property_: str) -> str:
    return property_.title().replace("_", "") + "Violated"


#: property -> the exception class that it raises.
VIOLATED: dict[str, type[InvariantViolated]] = {
    name: type(_class_name(name), (InvariantViolated,), {}) for name in PROPERTIES
}


def gather(case: Case, backend: str, repeat: bool = False, place: Place = HERE) -> Evidence:
    """Runs `case` on `backend` (twice, to judge determinism) and works out what to expect."""
    seen = observe(case, backend, place)
    again = observe(case, backend, place) if repeat else None
    return evidence_of(case, seen, again, versions(backend, place))


def evidence_of(
    case: Case,
    seen: Observation,
    again: Observation | None,
    installed: Mapping[str, str] | None = None,
) -> Evidence:
    """What was observed, with what is to be expected.

    installed: the versions that ran it, by whose contract it is judged; by default today's.
    """
    contract = CONTRACTS[seen.backend].of(installed or {})
    promised = expected(case, seen.backend, seen.draws, contract)
    return Evidence(case, seen.backend, seen, promised, again, release=contract)


def measure(evidence: Evidence) -> Measures:
    """What the judgement of `evidence` rests on."""
    elements = uninformative = 0
    largest = 0.0
    for found in evidence.deviations.values():
        elements += found.informative.size
        uninformative += int(np.count_nonzero(~found.informative))
        largest = max(largest, float(found.spreads.max(initial=0.0)))
    return Measures(len(evidence.deviations), elements, uninformative, largest)


def judge(
    case: Case,
    backend: str,
    *,
    repeat: bool = False,
    other: Evidence | None = None,
    ignore_known_issues: bool = False,
    place: Place = HERE,
) -> Verdict:
    """The verdict on one case.

    repeat: run it twice and judge determinism. other: the evidence of another backend, to compare
    with. ignore_known_issues: call what the ledger explains a violation too. place: where it runs.
    """
    evidence = gather(case, backend, repeat, place)
    if other is not None:
        evidence = replace(evidence, other=other)
    names = (backend, *([other.backend] if other else ()))
    issues = () if ignore_known_issues else _issues(names, place)
    return verdict_on(evidence, issues)


def _issues(backends: Sequence[str], place: Place) -> Iterator[ledger.KnownIssue]:
    """The known issues of what is installed there; asked for where there is something to label."""
    for name in backends:
        yield from ledger.applying(name, versions(name, place))


def verdict_on(evidence: Evidence, issues: Iterable[ledger.KnownIssue]) -> Verdict:
    """The verdict that evidence makes, with these issues known."""
    found = findings(evidence)
    if found:
        found = ledger.told(found, evidence, tuple(issues))
    return Verdict(evidence, tuple(found), measure(evidence))


def check(
    case: Case,
    backend: str,
    *,
    report: Path | str | None = None,
    ignore_known_issues: bool = False,
) -> Verdict:
    """The verdict on one case; raises InvariantViolated where a property does not hold.

    For tests of one's own: `@given(invariants.cases(backends=["torch"]))`.

    report: a folder for case.json, repro.py and a picture of what is violated; the exception names
    it. Raises ValueError for a backend that does not exist or that the case has no realisation for,
    and BackendUnavailable for one that is not installed or broken.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}: choose from {', '.join(BACKENDS)}")
    if backend not in case.realisations:
        raise ValueError(f"the case runs on {', '.join(case.realisations)}, not on {backend}")
    verdict = judge(case, backend, ignore_known_issues=ignore_known_issues)
    raise_for(verdict, report)
    return verdict


def raise_for(verdict: Verdict, report: Path | str | None = None) -> None:
    """Raises the exception of the first violated property, if there is one."""
    if not verdict.violations:
        return
    from invariants.report import findings as told  # it draws verdicts, so it imports this module

    case, first = verdict.evidence.case, verdict.violations[0]
    where = "for case.json and repro.py: invariants.check(case, backend, report='DIR')"
    if report is not None:
        where = f"written to {told.write(Path(report), verdict)}"
    raise VIOLATED[first.property_](verdict, f"{told.text(case, first)}\n\n  {where}")
