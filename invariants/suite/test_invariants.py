"""The main job: random fine-tuning programs, each judged by every property.

One test is one seeded batch on one backend; `invariants verify` and pytest run the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from invariants.backends.places import HERE, Place
from invariants.backends.probing import lacks
from invariants.backends.runner import BackendUnavailable
from invariants.judge import Verdict
from invariants.report import findings
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.plugin import BATCH_FAILED, Message
from invariants.suite.session import Muted, Options
from invariants.suite.tally import Tally

#: Where findings go unless --report names a folder.
DEFAULT_REPORT = Path("invariants-report")

_MUTED = Muted()


@pytest.mark.invariants
def test_invariants_hold(
    plan: Plan, invariants_options: Options, tell: Callable[[Message], None]
) -> None:
    usable(plan.backend, tell, plan.place)
    reason = lacks(plan.backend, plan.mode, plan.place) if plan.mode else ""
    if reason:
        without(plan, reason, invariants_options.modes, tell)
    if plan.compare:
        try:
            plan.place.prepare(plan.compare)
        except BackendUnavailable:  # its own batches say so
            plan = replace(plan, compare="")
    texts: list[str] = []

    def write_down(verdict: Verdict) -> None:
        case, finding = verdict.evidence.case, verdict.violations[0]
        report = invariants_options.report or DEFAULT_REPORT
        try:
            where = f"written to {findings.write(report, verdict, plan.place)}"
        except OSError as error:  # what was found is told all the same
            where = f"not written: cannot write to {report}: {error.strerror or error}"
        texts.append(findings.text(case, finding) + f"\n\n  {where}\n")
        tell({"found": texts[-1], "backend": plan.backend, "property": finding.property_})

    hunt = Hunt(plan, _MUTED.of(plan.backend), write_down)
    try:
        hunt.run()
    finally:
        tell({"counted": hunt.tally.document(), "backend": plan.backend})
    if hunt.tally.violations:
        again = ", ".join(f"{n} in {c} cases" for n, c in hunt.tally.violations.items())
        pytest.fail("\n".join([BATCH_FAILED + again, *texts]), pytrace=False)


def without(
    plan: Plan, reason: str, asked: Sequence[str], tell: Callable[[Message], None]
) -> NoReturn:
    """Says why a mode cannot be run here: the rest of a run goes on, one of it alone fails."""
    said = f"mode {plan.mode} is not offered here: {reason}"
    if {*asked} == {plan.mode}:
        tell({"unavailable": f"{plan.backend}: {said}"})
        pytest.fail(BATCH_FAILED + said, pytrace=False)
    tally = Tally()
    tally.unsupported[said] += plan.examples
    tell({"counted": tally.document(), "backend": plan.backend})
    pytest.skip(said)


def usable(backend: str, tell: Callable[[Message], None], place: Place = HERE) -> None:
    """Fails the test, and says why, where the framework of a backend cannot be used."""
    try:
        place.prepare(backend)
    except BackendUnavailable as error:
        tell({"unavailable": str(error)})
        pytest.fail(BATCH_FAILED + str(error), pytrace=False)
