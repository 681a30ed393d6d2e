"""Draws cases through Hypothesis, judges them, and reduces what violates a property.

One call is one seeded batch. After a finding the batch goes on: the property is then muted, which
means that its further findings are counted but not reduced again. To Hypothesis no example fails:
it draws, and the first case of each violated property is reduced here, within its budget of time.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hypothesis import given, seed
from hypothesis import strategies as st

from invariants.backends.places import Place, place_for
from invariants.case import Case
from invariants.generate.cases import ANY, Wanted, cases
from invariants.generate.series import drawing
from invariants.judge import Verdict, gather, judge
from invariants.ledger import KnownIssue
from invariants.reduction import reduced
from invariants.suite.interruption import interruptible
from invariants.suite.tally import Tally

#: Determinism is judged on about one case in this many.
REPEAT_ONE_IN = 20


class _Enough(BaseException):
    """Ends a Hypothesis run from inside; not an Exception, which would be a failing test."""


@dataclass(frozen=True)
class Plan:
    """What one batch does.

    compare: another backend that runs each case too, for backends_agree; "" for none.
    wanted: what the cases are drawn with. device: what they run on.
    stop_at_first: end the batch with its first finding. until: end it with the case that meets this
    known issue; where known issues count as violations, with one that violates what it does.
    case_limit: run the cases in a worker process, each for so many seconds at most; 0: in this one.
    """

    backend: str
    seed: int
    examples: int
    reduce_seconds: float
    compare: str = ""
    ignore_known_issues: bool = False
    stop_at_first: bool = False
    wanted: Wanted = ANY
    until: KnownIssue | None = None
    device: str = "cpu"
    case_limit: float = 0.0

    @property
    def mode(self) -> str:
        """That of the cases; "" for those that are quick."""
        return self.wanted.mode

    @property
    def place(self) -> Place:
        """Where the cases run."""
        return place_for(self.case_limit)


@dataclass
class Hunt:
    """The state of one batch: what was counted, and the smallest case of each violated property.

    muted: properties that were reported before; their findings are counted and no more.
    on_found: gets the verdict on each reduced case at once.
    """

    plan: Plan
    muted: set[str]
    on_found: Callable[[Verdict], None] = lambda verdict: None
    tally: Tally = field(default_factory=Tally)
    smallest: dict[str, Verdict] = field(default_factory=dict)
    examples_to_find: dict[str, int] = field(default_factory=dict)
    reduced_for: float = 0.0  # seconds

    def run(self) -> None:
        """Judges the planned number of cases."""
        backends = tuple(b for b in (self.plan.backend, self.plan.compare) if b)
        tally = self.tally
        drawn = cases(backends, **asdict(self.plan.wanted), device=self.plan.device)

        @st.composite
        def counted(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Case:
            tally.started += 1
            case: Case = draw(drawn)
            return case

        with contextlib.suppress(_Enough), interruptible() as check:

            @seed(self.plan.seed)
            @drawing(self.plan.examples)
            @given(counted())
            def body(case: Case) -> None:
                check()
                self.example(case)

            body()
            if self.plan.until:
                tally.unmet[self.plan.until.id] += tally.cases
        tally.spared += (self.plan.examples - tally.cases) * bool(self.plan.until)

    def example(self, case: Case) -> None:
        """One case that Hypothesis drew."""
        plan = self.plan
        other = gather(case, plan.compare, place=plan.place) if plan.compare else None
        verdict = judge(
            case,
            plan.backend,
            repeat=repeats(case),
            other=other,
            ignore_known_issues=plan.ignore_known_issues,
            place=plan.place,
        )
        self.tally.count(verdict)
        for name in dict.fromkeys(finding.property_ for finding in verdict.violations):
            if name not in self.muted:
                self._found(name, case)
        if plan.until and _meets(verdict, plan.until, plan.ignore_known_issues):
            raise _Enough

    def _found(self, name: str, case: Case) -> None:
        """Reduces the first case that violates a property, and mutes the property."""
        self.muted.add(name)
        self.examples_to_find[name] = self.tally.cases
        started, smallest = time.monotonic(), case

        def shows(candidate: Case) -> bool:
            nonlocal smallest
            if self.plan.backend not in candidate.realisations:
                return False
            verdict = self._judged_for(candidate, name)
            found = any(finding.property_ == name for finding in verdict.violations)
            if found:
                smallest = candidate
            return found

        try:
            reduced(case, shows, self.plan.reduce_seconds)
        finally:  # an interrupted run reports what it has, too
            self.reduced_for += time.monotonic() - started
            self._report(name, case, smallest)
        if self.plan.stop_at_first:
            raise _Enough

    def _report(self, name: str, case: Case, smallest: Case) -> None:
        verdict = self._judged_for(smallest, name)
        # An outcome that changes from run to run may be gone by now; then the case itself is shown.
        if not any(finding.property_ == name for finding in verdict.violations):
            verdict = self._judged_for(case, name)
        order = sorted(verdict.findings, key=lambda finding: finding.property_ != name)
        self.smallest[name] = replace(verdict, findings=tuple(order))
        self.on_found(self.smallest[name])

    def _judged_for(self, case: Case, name: str) -> Verdict:
        """The verdict with what the property `name` needs: a second run, another backend."""
        plan = self.plan
        compare = name == "backends_agree" and plan.compare in case.realisations
        return judge(
            case,
            plan.backend,
            repeat=name == "deterministic",
            other=gather(case, plan.compare, place=plan.place) if compare else None,
            ignore_known_issues=plan.ignore_known_issues,
            place=plan.place,
        )


def _meets(verdict: Verdict, issue: KnownIssue, unlabelled: bool) -> bool:
    """Whether a verdict names a known issue, or has a violation that it may be, without labels."""
    if unlabelled:
        return any(finding.property_ in issue.properties for finding in verdict.violations)
    return any(issue.id in finding.issue.split(" + ") for finding in verdict.findings)


def repeats(case: Case) -> bool:
    """Whether determinism is judged on this case; the same for the same case."""
    numbers = b"".join(array.tobytes() for batch in case.batches for array in batch.inputs)
    return zlib.crc32(numbers) % REPEAT_ONE_IN == 0
