"""Every known issue still shows on its pinned case: one that was mended upstream says so here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from invariants.backends import BACKENDS, installed
from invariants.case import read_case
from invariants.judge import judge
from invariants.ledger import KnownIssue, applying, pinned_case
from invariants.suite.plugin import Message
from invariants.suite.session import Options
from invariants.suite.test_invariants import usable

_ISSUES = [issue for b in BACKENDS if installed(b) for issue in applying(b)]


@pytest.mark.invariants
@pytest.mark.parametrize("issue", _ISSUES, ids=lambda issue: issue.id)
def test_a_known_issue_still_shows(
    issue: KnownIssue, invariants_options: Options, tell: Callable[[Message], None]
) -> None:
    if issue.backend not in invariants_options.backends:
        pytest.skip(f"{issue.backend} is not verified in this run")
    if invariants_options.device != "cpu":
        pytest.skip("it is pinned on the CPU")
    place = invariants_options.place
    usable(issue.backend, tell, place)
    verdict = judge(read_case(pinned_case(issue)), issue.backend, place=place)
    lacking = [f"{f.message}: {f.got}" for f in verdict.findings if f.severity == "unsupported"]
    if lacking:
        pytest.skip(lacking[0])
    assert not verdict.violations, "the pinned case shows more than the known issue"
    shown = any(f.issue == issue.id for f in verdict.findings)
    if issue.at_random and not shown:
        pytest.skip("it shows at random, and not this time")
    assert shown, (
        f"{issue.id} no longer shows on these versions: close its versions in known_issues.toml"
    )
