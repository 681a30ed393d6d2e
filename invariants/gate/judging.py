"""Judges what was recorded, each environment by its own versions: the same every time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from invariants.backends import observation, versions
from invariants.backends.places import Place
from invariants.case import Case
from invariants.finding import Finding
from invariants.gate.corpus import Entry
from invariants.gate.errors import GateError
from invariants.gate.recording import Head, Record
from invariants.judge import Verdict, evidence_of, gather, verdict_on
from invariants.ledger import applying, issues_named, known_issues, label
from invariants.properties.evidence import Evidence

#: The end of what could not be judged at all, as what raises before its first action.
UNJUDGED = -2


@dataclass(frozen=True)
class Judged:
    """What is kept of a verdict: a corpus of them fits into memory.

    findings: what does not hold. lacking: what the environment does not offer, in its own words.
    end: the last action that says something; UNJUDGED where the case could not run there at all.
    """

    entry: Entry
    findings: tuple[Finding, ...] = ()
    lacking: tuple[str, ...] = ()
    end: int = UNJUDGED
    gradients: int = 0
    elements: int = 0
    died: str = ""

    @property
    def mode(self) -> str:
        """The mode that the case runs in."""
        return self.entry.case.realisations[self.entry.backend].mode


def verdict(record: Record, head: Head, path: str) -> Verdict | None:
    """The verdict on one case of the recording in `path`, None where it could not run there."""
    case, backend = record.entry.case, record.entry.backend
    if record.lacks:
        return None
    try:
        installed = head.packages[backend]
        observed = observation(case, backend, record.points)
        again = None if record.again is None else observation(case, backend, record.again)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        name = record.entry.name
        raise GateError(f"{path} is damaged: its case {name} does not fit: {error!r}") from None
    return _labelled(evidence_of(case, observed, again, installed), installed)


def verdict_at(place: Place, case: Case, backend: str, repeat: bool) -> Verdict:
    """The verdict on a case that runs at a place now."""
    return _labelled(gather(case, backend, repeat, place), versions(backend, place))


def _labelled(evidence: Evidence, installed: dict[str, str]) -> Verdict:
    """The verdict by the issues that these versions are known to have.

    What they do not explain is also compared with the issues that are known of other versions: such
    a finding stays a violation, and names the issue that it is like.
    """
    mine = applying(evidence.backend, installed)
    found = verdict_on(evidence, mine)
    if not found.violations:
        return found
    others = [i for i in known_issues() if i.backend == evidence.backend and i not in mine]
    likened = label(found.findings, evidence, others, issues_named(found.findings, mine))
    findings = [
        replace(one, issue=like.issue) if one.severity == "violation" else one
        for one, like in zip(found.findings, likened, strict=True)
    ]
    return replace(found, findings=tuple(findings))


def judged(record: Record, verdict: Verdict | None) -> Judged:
    """What is kept of the verdict on a case."""
    if verdict is None:
        return Judged(record.entry, lacking=(f"mode: {record.lacks}",))
    evidence, found = verdict.evidence, verdict.findings
    return Judged(
        record.entry,
        tuple(f for f in found if f.severity != "unsupported"),
        tuple(f"{f.message}: {f.got}" for f in found if f.severity == "unsupported"),
        min(evidence.horizon - 1, evidence.departure),
        verdict.measures.gradients,
        verdict.measures.elements,
        record.died,
    )
