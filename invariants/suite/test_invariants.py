"""The main job: random fine-tuning programs, each judged by every property.

One test is one seeded batch on one backend; `invariants verify` and pytest run the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.backends.runner import BackendUnavailable, prepare
from invariants.judge import Verdict
from invariants.report import findings
from invariants.suite.hunt import Hunt, Plan
from invariants.suite.plugin import RESULT, UNAVAILABLE
from invariants.suite.session import Muted, Options

#: Where findings go unless --report names a folder.
DEFAULT_REPORT = Path("invariants-report")

_MUTED = Muted()


@pytest.mark.invariants
def test_invariants_hold(
    plan: Plan,
    invariants_options: Options,
    record_property: Callable[[str, object], None],
) -> None:
    try:
        for backend in filter(None, (plan.backend, plan.compare)):
            prepare(backend)
    except BackendUnavailable as error:
        record_property(UNAVAILABLE, str(error))
        pytest.fail(str(error), pytrace=False)
    texts: list[str] = []

    def write_down(verdict: Verdict) -> None:
        case, finding = verdict.evidence.case, verdict.violations[0]
        folder = findings.write(invariants_options.report or DEFAULT_REPORT, verdict)
        texts.append(findings.text(case, finding) + f"\n\n  written to {folder}\n")

    hunt = Hunt(plan, _MUTED.of(plan.backend), write_down)
    try:
        hunt.run()
    finally:
        record_property(
            RESULT,
            {"backend": plan.backend, "tally": hunt.tally.document(), "texts": texts},
        )
    if hunt.tally.violations:
        again = ", ".join(f"{n} in {c} cases" for n, c in hunt.tally.violations.items())
        pytest.fail("\n".join([*texts, f"violated: {again}"]), pytrace=False)
