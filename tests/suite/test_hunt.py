"""A batch finds what is broken, reduces it, goes on, and loses nothing when it is interrupted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import find

from invariants import faults
from invariants.backends import BACKENDS
from invariants.case import Case
from invariants.faults import Fault
from invariants.generate.cases import Wanted, cases
from invariants.judge import Verdict
from invariants.ledger import known_issues
from invariants.suite.hunt import REPEAT_ONE_IN, Hunt, Plan, repeats


def plan(examples: int = 30, stop_at_first: bool = False) -> Plan:
    return Plan("torch", 7, examples, 20.0, stop_at_first=stop_at_first)


def torch_fault(name: str) -> Fault:
    return next(fault for fault in faults.of("torch") if fault.name == name)


BLOCKS = torch_fault("frozen_linear_blocks")


def test_a_sound_framework_is_judged_on_every_planned_case() -> None:
    hunt = Hunt(plan(), set())
    hunt.run()
    assert hunt.tally.cases == 30
    assert not hunt.smallest


def test_the_same_seed_draws_and_judges_the_same() -> None:
    first, second = Hunt(plan(), set()), Hunt(plan(), set())
    first.run()
    second.run()
    assert first.tally == second.tally


def test_a_broken_framework_is_found_reduced_and_judged_to_the_end() -> None:
    found: list[Verdict] = []
    hunt = Hunt(plan(), set(), found.append)
    with BLOCKS.apply():
        hunt.run()
    smallest = hunt.smallest["upstream_gradients"].evidence.case
    # One that is trained, the frozen one, and a way around it: without, nothing has a gradient and
    # the program fails. The first found has volumes: a dense layer takes them once they are pooled.
    assert len(smallest.architecture.layers) <= 4
    # The kernel of a FiLM layer has two columns at least.
    assert max(max(a.shape, default=1) for a in smallest.weights.values()) <= 2
    assert hunt.tally.cases == 30
    assert [v.findings[0].property_ for v in found] == list(hunt.smallest)
    assert set(hunt.tally.violations) == set(hunt.smallest) == hunt.muted


def test_a_muted_property_is_counted_and_not_reported_again() -> None:
    found: list[Verdict] = []
    hunt = Hunt(plan(), {"upstream_gradients"}, found.append)
    with BLOCKS.apply():
        hunt.run()
    assert hunt.tally.violations["upstream_gradients"] > 0
    assert "upstream_gradients" not in hunt.smallest
    assert all(v.findings[0].property_ != "upstream_gradients" for v in found)


def test_a_batch_that_stops_at_its_first_finding_stops() -> None:
    hunt = Hunt(plan(stop_at_first=True), set())
    with BLOCKS.apply():
        hunt.run()
    assert len(hunt.smallest) == 1
    assert hunt.tally.cases == next(iter(hunt.examples_to_find.values())) < 30


def looking_for(name: str, **wanted: str) -> Plan:
    (issue,) = (one for one in known_issues() if one.id == name)
    return replace(plan(), until=issue, wanted=Wanted(**wanted))


def test_a_batch_that_looks_for_an_issue_ends_once_it_is_met() -> None:
    hunt = Hunt(
        looking_for("torch-hard-sigmoid-float32-sixth", layer="hard_sigmoid", dtype="float64"),
        set(),
    )
    hunt.run()
    assert hunt.tally.known["torch-hard-sigmoid-float32-sixth"] == 1
    assert hunt.tally.cases + hunt.tally.spared == 30
    assert hunt.tally.spared > 0
    assert not hunt.tally.unmet


def test_an_issue_that_is_looked_for_in_vain_is_counted() -> None:
    hunt = Hunt(looking_for("torch-muon-epsilon", optimizer="sgd"), set())
    hunt.run()
    assert hunt.tally.unmet == {"torch-muon-epsilon": 30}
    assert hunt.tally.spared == 0


def test_without_labels_a_batch_that_looks_for_an_issue_ends_with_what_it_violates() -> None:
    sought = looking_for("torch-hard-sigmoid-float32-sixth", layer="hard_sigmoid", dtype="float64")
    hunt = Hunt(replace(sought, ignore_known_issues=True, reduce_seconds=0.0), set())
    hunt.run()
    assert set(hunt.tally.violations) & set(sought.until.properties if sought.until else ())
    assert hunt.tally.spared > 0


ABORTING = """
import os
import torch

torch.optim.AdamW.step = lambda self, closure=None: os.abort()
"""


def test_a_crash_is_a_finding_and_the_batch_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ABORTING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    hunt = Hunt(
        replace(plan(), reduce_seconds=5.0, wanted=Wanted(mode="eager"), case_limit=59.0), set()
    )
    hunt.run()
    assert hunt.tally.cases == 30
    (found,) = hunt.smallest.values()
    assert found.violations[0].got == "Crashed: SIGABRT"
    assert "torch.optim.AdamW(" in BACKENDS["torch"].render(found.evidence.case)


class _Interrupted(Hunt):
    """Ctrl-C at the fifth case that reduction looks at."""

    looked_at = 0

    def _judged_for(self, case: Case, name: str) -> Verdict:
        type(self).looked_at += 1
        if self.looked_at == 5:
            raise KeyboardInterrupt
        return super()._judged_for(case, name)


def test_an_interrupted_reduction_reports_what_it_has() -> None:
    found: list[Verdict] = []
    hunt = _Interrupted(plan(), set(), found.append)
    with BLOCKS.apply(), pytest.raises(KeyboardInterrupt):
        hunt.run()
    assert len(found) == 1
    assert found[0].violations


def test_determinism_is_judged_on_about_one_case_in_twenty() -> None:
    drawn: Counter[bool] = Counter()

    def look(case: Case) -> bool:
        drawn[repeats(case)] += 1
        return drawn.total() >= 400

    find(cases(("torch",)), look)
    assert 400 / REPEAT_ONE_IN / 3 < drawn[True] < 3 * 400 / REPEAT_ONE_IN
