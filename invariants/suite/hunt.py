"""Draws cases through Hypothesis, judges them, and shrinks what violates a property.

One call is one seeded batch. After a finding the batch goes on: the property is then muted, which
means that its further findings are counted but neither raised nor shrunk again. Every property
raises an exception class of its own, so that Hypothesis does not take two bugs for one.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from invariants.case import Case
from invariants.generate.cases import cases
from invariants.judge import InvariantViolated, Verdict, gather, judge, raise_for
from invariants.suite.tally import Tally

#: Determinism is judged on about one case in this many.
REPEAT_ONE_IN = 20


class _ShrunkEnough(BaseException):
    """Ends a Hypothesis run whose shrinking has used up its time."""


@dataclass(frozen=True)
class Plan:
    """What one batch does.

    compare: another backend that runs each case too, for backends_agree; "" for none.
    stop_at_first: end the batch with its first finding.
    """

    backend: str
    seed: int
    examples: int
    shrink_seconds: float
    compare: str = ""
    ignore_known_issues: bool = False
    stop_at_first: bool = False


@dataclass
class Hunt:
    """The state of one batch: what was counted, and the smallest case of each violated property."""

    plan: Plan
    muted: set[str]
    tally: Tally = field(default_factory=Tally)
    smallest: dict[str, Verdict] = field(default_factory=dict)
    examples_to_find: dict[str, int] = field(default_factory=dict)
    shrunk_for: float = 0.0  # seconds
    _shrinking: str = ""
    _shrinking_since: float = 0.0

    def judge(self, case: Case) -> Verdict:
        plan = self.plan
        other = gather(case, plan.compare) if plan.compare else None
        return judge(
            case,
            plan.backend,
            repeat=repeats(case),
            other=other,
            ignore_known_issues=plan.ignore_known_issues,
        )

    def example(self, case: Case) -> None:
        """One case that Hypothesis drew, in generation or in shrinking."""
        if self._shrinking and time.monotonic() - self._shrinking_since > self.plan.shrink_seconds:
            raise _ShrunkEnough
        verdict = self.judge(case)
        if not self._shrinking:
            self.tally.count(verdict)
        loud = [f for f in verdict.violations if f.property_ not in self.muted]
        if self._shrinking:
            loud = [f for f in loud if f.property_ == self._shrinking]
        if not loud:
            return
        name = loud[0].property_
        if not self._shrinking:
            self._shrinking, self._shrinking_since = name, time.monotonic()
            self.examples_to_find[name] = self.tally.cases
        best = self.smallest.get(name)
        if best is None or size(case) <= size(best.evidence.case):
            first = sorted(verdict.findings, key=lambda f: f.property_ != name)
            self.smallest[name] = replace(verdict, findings=tuple(first))
        raise_for(replace(verdict, findings=tuple(loud)))

    def run(self, on_found: Callable[[Verdict], None] = lambda verdict: None) -> None:
        """Judges the planned number of cases; `on_found` gets each shrunk verdict at once."""
        number = 0
        while self.tally.cases < self.plan.examples:
            before = self.tally.cases
            try:
                self._search(self.plan.seed + 7919 * number, self.plan.examples - before)
            except (InvariantViolated, Flaky, _ShrunkEnough):
                pass
            finally:
                name, self._shrinking = self._shrinking, ""
                if name:
                    self.shrunk_for += time.monotonic() - self._shrinking_since
                    self.muted.add(name)
                    on_found(self.smallest[name])
            number += 1
            if self.tally.cases == before or (self.plan.stop_at_first and self.smallest):
                break

    def _search(self, start: int, examples: int) -> None:
        backends = tuple(b for b in (self.plan.backend, self.plan.compare) if b)
        tally = self.tally

        @st.composite
        def counted(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Case:
            if not self._shrinking:
                tally.started += 1
            case: Case = draw(cases(backends))
            return case

        @seed(start)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
            print_blob=False,
        )
        @given(counted())
        def body(case: Case) -> None:
            self.example(case)

        body()


def size(case: Case) -> tuple[int, int, int]:
    """How large a case is to a reader: layers, actions, numbers."""
    return (
        len(case.architecture.layers),
        len(case.program),
        sum(array.size for array in case.weights.values()),
    )


def repeats(case: Case) -> bool:
    """Whether determinism is judged on this case; the same for the same case."""
    numbers = b"".join(array.tobytes() for batch in case.batches for array in batch.inputs)
    return zlib.crc32(numbers) % REPEAT_ONE_IN == 0
