"""The smallest case that shows what is new in a candidate and not in its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from invariants.backends import versions
from invariants.backends.places import Place
from invariants.case import Case
from invariants.gate.change import Change, Kind, Shown
from invariants.gate.comparison import kinds, was_seen
from invariants.gate.corpus import Entry
from invariants.gate.errors import GateError
from invariants.gate.folder import named
from invariants.gate.judging import judged, verdict_at
from invariants.gate.recording import Record
from invariants.judge import Verdict
from invariants.reduction import reduced
from invariants.report import findings
from invariants.report.repro import script


def smallest(change: Change, corpus: Mapping[str, Entry]) -> Case:
    """The case to start from: of those that decide, the one with the fewest layers."""
    deciding = (corpus[name].case for name in change.decisive)
    return min(deciding, key=lambda case: (len(case.architecture.layers), len(case.program)))


def differing(kind: Kind, case: Case, baseline: Place | None, candidate: Place) -> Verdict | None:
    """The verdict of the candidate on a case, of what it shows of `kind`; None where it does not.

    Nor where the baseline, if it is there to be asked, shows it as well or cannot be judged so far.
    """
    if kind.backend not in case.realisations:
        return None
    record, repeat = Record(Entry(kind.backend, case), []), kind.property_ == "deterministic"
    verdict = verdict_at(candidate, case, kind.backend, repeat)
    shown = tuple(f for f in verdict.findings if kind in kinds(f))
    if not shown:
        return None
    if baseline is not None:
        before = judged(record, verdict_at(baseline, case, kind.backend, repeat))
        shown = tuple(f for f in shown if was_seen(before, f))
        if not shown or any(kind in kinds(f) for f in before.findings):
            return None
    return replace(verdict, findings=shown)


def written(
    change: Change,
    corpus: Mapping[str, Entry],
    baseline: Place | None,
    candidate: Place,
    seconds: float,
    report: Path,
) -> Change:
    """The change with a case that was reduced and written; as it is where that shows no more.

    Raises GateError where it cannot be written.
    """
    case = smallest(change, corpus)
    last = differing(change.kind, case, baseline, candidate)
    if last is None:
        return change

    def shows(smaller: Case) -> bool:
        nonlocal last
        verdict = differing(change.kind, smaller, baseline, candidate)
        last = verdict or last
        return verdict is not None

    reduced(case, shows, seconds)
    try:
        named(report, findings.name(last))
        folder = findings.write(report, last, candidate)
    except OSError as error:
        raise GateError(f"cannot write to {report}: {error.strerror or error}") from None
    smallest_case, finding = last.evidence.case, findings.foremost(last)
    repro = script(smallest_case, finding, versions(finding.backend, candidate))
    shown = Shown("candidate", True, smallest_case.document, finding, repro)
    return replace(change, folder=folder.relative_to(report).as_posix(), shown=shown)
