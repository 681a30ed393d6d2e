"""The main job: random fine-tuning programs, each judged by every property.

One test is one seeded batch on one backend; `invariants verify` and pytest run the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from invariants.backends.runner import BackendUnavailable, prepare
from invariants.judge import Verdict
from invariants.report import findings
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.plugin import BATCH_FAILED, Message
from invariants.suite.session import Muted, Options

#: Where findings go unless --report names a folder.
DEFAULT_REPORT = Path("invariants-report")

_MUTED = Muted()


@pytest.mark.invariants
def test_invariants_hold(
    plan: Plan, invariants_options: Options, tell: Callable[[Message], None]
) -> None:
    usable(plan.backend, tell)
    if plan.compare:
        try:
            prepare(plan.compare)
        except BackendUnavailable:  # its own batches say so
            plan = replace(plan, compare="")
    texts: list[str] = []

    def write_down(verdict: Verdict) -> None:
        case, finding = verdict.evidence.case, verdict.violations[0]
        folder = findings.write(invariants_options.report or DEFAULT_REPORT, verdict)
        texts.append(findings.text(case, finding) + f"\n\n  written to {folder}\n")
        tell({"found": texts[-1], "backend": plan.backend, "property": finding.property_})

    hunt = Hunt(plan, _MUTED.of(plan.backend), write_down)
    try:
        hunt.run()
    finally:
        tell({"counted": hunt.tally.document(), "backend": plan.backend})
    if hunt.tally.violations:
        again = ", ".join(f"{n} in {c} cases" for n, c in hunt.tally.violations.items())
        pytest.fail("\n".join([BATCH_FAILED + again, *texts]), pytrace=False)


def usable(backend: str, tell: Callable[[Message], None]) -> None:
    """Fails the test, and says why, where the framework of a backend cannot be used."""
    try:
        prepare(backend)
    except BackendUnavailable as error:
        tell({"unavailable": str(error)})
        pytest.fail(BATCH_FAILED + str(error), pytrace=False)
