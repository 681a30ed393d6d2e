"""What fit() trains is settled where it is traced: for the first size of a batch, then for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import torch_case

from invariants.architecture.layers.dense import Dense
from invariants.backends import installed
from invariants.case import Case, Realisation, frozen
from invariants.judge import judge
from invariants.ledger import known_issues
from invariants.objective import Term
from invariants.optimizer import Muon
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.program import Freeze, Step, Thaw
from invariants.schedule import Linear

#: Batches 0, 1 and 2 are of 4, 3 and 2 samples.
PROGRAM = (
    *(Step(0), Freeze("dense_1"), Step(0), Step(1), Step(2)),
    *(Thaw("dense_1"), Step(2), Step(0)),
)


def case_in(mode: str) -> Case:
    made = torch_case((Dense(units=2), Dense(units=1)), (Step(0),), dtype="float32")
    (batch,) = made.batches
    ways = tuple("layer_trainable" if isinstance(a, Freeze | Thaw) else None for a in PROGRAM)
    options = {"run_eagerly": "no", "optimizer_build": "first_step", "optimizer_call": "apply"}
    return replace(
        made,
        program=PROGRAM,
        batches=(batch, batch.first(3), batch.first(2)),
        realisations={"tensorflow": Realisation(mode, ways, options)},
    ).check()


def test_a_second_size_is_traced_anew_and_serves_all_others() -> None:
    issue = next(i for i in known_issues() if i.id == "keras-flags-count-when-traced")
    contract = CONTRACTS["tensorflow"].as_if(issue.as_if)
    points = expect(case_in("fit"), "tensorflow", contract).points
    steps = [p for p in points if isinstance(PROGRAM[p.action], Step)]
    assert ["dense_1.kernel" in p.flags.trainable for p in steps] == [
        *(True, True, False, False),
        *(False, True),
    ]


def test_as_documented_it_is_settled_by_compile() -> None:
    points = expect(case_in("fit"), "tensorflow").points
    steps = [p for p in points if isinstance(PROGRAM[p.action], Step)]
    assert all("dense_1.kernel" in p.flags.trainable for p in steps)


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
@pytest.mark.parametrize("mode", ["fit", "train_on_batch", "fit_several_steps"])
def test_keras_traces_so(mode: str) -> None:
    verdict = judge(case_in(mode), "tensorflow")
    assert not verdict.violations
    assert "keras-flags-count-when-traced" in {finding.issue for finding in verdict.findings}


def muon_under_a_schedule(mode: str, build: str, outputs: int) -> Case:
    """Three steps, each of which raises in float64 while it is traced."""
    made = case_in(mode)
    options = made.realisations["tensorflow"].options | {"optimizer_build": build}
    if outputs == 2:
        made = replace(
            made,
            architecture=replace(made.architecture, taps=(1,)),
            objective=(Term(), Term(output=1)),
            batches=tuple(
                replace(b, targets=(*b.targets, frozen(np.ones((b.size, 2)))), weights=(None, None))
                for b in made.batches
            ),
        )
    return replace(
        made,
        dtype="float64",
        optimizer=Muon(),
        schedule=Linear(first=1.0, last=0.5, steps=2),
        program=(Step(0), Step(0), Step(1)),
        realisations={"tensorflow": Realisation(mode, (None, None, None), options)},
    ).check()


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
@pytest.mark.parametrize(
    ("mode", "build", "outputs", "then"),
    [
        ("fit", "first_step", 1, "'Toutput_types'"),
        ("fit", "ahead", 2, "'Toutput_types'"),
        ("fit", "ahead", 1, "of 'Mul' Op has type"),
        ("train_on_batch", "first_step", 1, None),
        ("train_on_batch", "ahead", 2, None),
        ("train_on_batch", "ahead", 1, "of 'Mul' Op has type"),
    ],
)
def test_a_first_trace_that_raises_is_lost_with_the_variables_that_it_made(
    mode: str, build: str, outputs: int, then: str | None
) -> None:
    """Those of the optimizer, or of the losses of several outputs."""
    verdict = judge(muon_under_a_schedule(mode, build, outputs), "tensorflow")
    assert not verdict.violations
    errors = verdict.evidence.observation.errors
    assert "of 'Mul' Op has type" in errors[0].message
    if then is None:
        assert set(errors) == {0}
    else:
        assert then in errors[1].message
        assert then in errors[2].message
    issues = " ".join(f.issue for f in verdict.findings if f.action == 1)
    emptied = "tensorflow-function-emptied-by-a-failed-trace" in issues
    assert emptied == (then != "of 'Mul' Op has type")
