"""What counts as new, gone and in both, and what is told of numbers that are apart."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from tests_support import simple_case

from invariants.finding import Finding
from invariants.gate.change import Change, Kind
from invariants.gate.comparison import changed_points, compared, documented_otherwise, kinds
from invariants.gate.corpus import Entry
from invariants.gate.distances import Sample
from invariants.gate.drift import Drifts, _spreads, family
from invariants.gate.judging import Judged
from invariants.gate.recording import Head
from invariants.gate.result import counted, offers, unjudged
from invariants.gate.result_file import text
from invariants.judge import Verdict, evidence_of, judge, verdict_on
from invariants.ledger import known_issues
from invariants.observation import Observation
from invariants.oracle.rounding import Estimate

VERSIONS = {"torch": [{"torch": "2.12.0"}, {"torch": "2.13.0"}]}
ENTRY = Entry("torch", simple_case())
OTHER = Entry("torch", replace(simple_case(), seed=1).check())
WRONG = Finding(
    "upstream_gradients", "torch", 2, "dense_0.kernel", "the gradient of dense_0.kernel is", "x"
)
ISSUE = next(
    i
    for i in known_issues()
    if i.backend == "torch" and not i.at_random and not i.applies({"torch": "2.12.0"})
)
KNOWN = replace(WRONG, severity="known issue", issue=ISSUE.id)


def side(*found: Finding, entry: Entry = ENTRY, end: int = 5, lacking: str = "") -> Judged:
    return Judged(entry, found, (lacking,) if lacking else (), end)


def one(before: Judged, after: Judged, versions: dict = VERSIONS) -> Change:  # type: ignore[type-arg]
    (change,) = compared([(before, after)], versions)
    return change


def test_the_kind_of_a_finding_does_not_name_the_weight() -> None:
    other = replace(WRONG, subject="lstm_3.bias", message="the gradient of lstm_3.bias is")
    assert (
        kinds(WRONG)
        == kinds(other)
        == (Kind("torch", "upstream_gradients", "", "the gradient of a weight is"),)
    )
    assert [kind.issue for kind in kinds(replace(WRONG, issue="a + b"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (side(), side(WRONG), "new"),
        (side(WRONG), side(), "gone"),
        (side(WRONG), side(WRONG), "both"),
        (side(end=1), side(WRONG), "unmasked"),
        (side(lacking="no such layer"), side(WRONG), "unmasked"),
        (side(WRONG), side(lacking="no such layer"), "unmasked"),
        (side(), side(KNOWN), "new"),
        (side(replace(KNOWN, severity="violation")), side(KNOWN), "both"),
    ],
)
def test_what_changes_is_told_by_what_either_side_shows(
    before: Judged, after: Judged, status: str
) -> None:
    change = one(before, after)
    assert change.status == status
    assert change.worse == (status == "new")


def test_an_issue_that_both_versions_are_known_to_have_is_in_both() -> None:
    (package, releases) = next(iter(ISSUE.versions.items()))
    held = {package: str(releases).partition("==")[2]}
    assert ISSUE.applies(held)
    assert one(side(), side(KNOWN), {"torch": [held, held]}).status == "both"


def test_a_hazard_is_not_new_where_something_graver_stood_in_its_place() -> None:
    hazard = replace(WRONG, severity="hazard", issue="files-merge-lora")
    assert one(side(), side(hazard)).status == "new"
    elsewhere = replace(KNOWN, subject="dense_0.bias")
    for before, status in ((KNOWN, "unmasked"), (elsewhere, "new")):
        changes = compared([(side(before), side(hazard))], VERSIONS)
        assert {c.status for c in changes if c.kind.issue == hazard.issue} == {status}


def test_a_violation_of_one_case_does_not_excuse_another() -> None:
    pairs = [(side(WRONG), side(WRONG)), (side(entry=OTHER), side(WRONG, entry=OTHER))]
    (change,) = compared(pairs, VERSIONS)
    assert change.status == "new"
    assert change.decisive == (OTHER.name,)


def test_a_known_issue_that_shows_anywhere_before_is_not_new() -> None:
    pairs = [(side(KNOWN), side()), (side(entry=OTHER), side(KNOWN, entry=OTHER))]
    (change,) = compared(pairs, VERSIONS)
    assert change.status == "both"


def test_points_of_the_contract_change_with_the_issue() -> None:
    (point, *_) = changed_points([one(side(), side(KNOWN))])
    value = ISSUE.as_if[point.point]
    assert (point.baseline, point.candidate) == (point.documented, value)
    (point, *_) = changed_points([one(side(KNOWN), side())])
    assert (point.baseline, point.candidate) == (value, point.documented)
    assert not changed_points([one(side(KNOWN), side(KNOWN)), one(side(), side(WRONG))])


def test_what_an_older_release_documents_otherwise_is_told_by_its_name() -> None:
    keras_2, keras_3 = {"keras": "2.15.0"}, {"keras": "3.15.1"}
    points = {p.point: p for p in documented_otherwise({"tensorflow": [keras_2, keras_3]})}
    told = points["hard_sigmoid"]
    assert (told.baseline, told.candidate, told.documented) == ("a_fifth", "a_sixth", "a_sixth")
    assert {point.issue for point in points.values()} == {"Keras 2"}
    back = {p.point: p for p in documented_otherwise({"tensorflow": [keras_3, keras_2]})}
    assert (back["hard_sigmoid"].baseline, back["hard_sigmoid"].candidate) == ("a_sixth", "a_fifth")
    assert not documented_otherwise({"tensorflow": [keras_3, keras_3]})


def test_a_default_that_was_another_is_told() -> None:
    sides = [{"torch": "1.13.1"}, {"torch": "2.13.0"}]
    points = {p.point: p for p in documented_otherwise({"torch": sides})}
    told = points["zero_grad by default"]
    assert (told.baseline, told.candidate, told.issue) == ("zeros", "set_to_none", "torch 1")


def test_what_one_side_lacks_is_told_and_breaks_nothing() -> None:
    pairs = [(side(lacking="prelu is not offered"), side())]
    assert not compared(pairs, VERSIONS)
    (offer,) = offers(pairs)
    assert (offer.what, offer.lacking, offer.cases) == ("prelu is not offered", "baseline", 1)
    assert not offers([(side(lacking="x"), side(lacking="x"))])


# --- drift ----------------------------------------------------------------------------------------


def moved(verdict: Verdict, by: float) -> Verdict:
    """The verdict on an observation whose first gradient differs by some spreads."""
    evidence = verdict.evidence
    observed = evidence.observation
    expected = next(p for p in evidence.expectation.points if p.gradients)
    name, estimate = next((n, e) for n, e in expected.gradients.items() if e.spread.any())
    points = []
    for point in observed.points:
        if point.action == expected.action:
            gradient = point.gradients[name]
            assert gradient is not None
            other = (gradient + by * estimate.spread).astype(gradient.dtype)
            point = replace(point, gradients={**point.gradients, name: other})
        points.append(point)
    changed = Observation(observed.backend, tuple(points), {}, observed.warnings)
    return verdict_on(evidence_of(evidence.case, changed, None), ())


def test_drift_is_none_between_two_runs_of_one_release() -> None:
    drifts, verdict = Drifts(), judge(simple_case(), "torch")
    drifts.count(verdict, verdict)
    assert [(d.by, d.name, d.share) for d in drifts.rows] == [
        ("layers", "dense", 1.0),
        ("mode", "eager", 1.0),
    ]


def test_drift_counts_in_spreads_what_has_other_bits() -> None:
    drifts, verdict = Drifts(), judge(simple_case(), "torch")
    drifts.count(verdict, moved(verdict, 8.0))
    for drift in drifts.rows:
        assert drift.equal == drift.arrays - 1
        assert 6.0 < drift.largest < 10.0
        assert 0.0 < drift.share < 1.0


def test_what_differs_where_nothing_can_be_said_or_in_the_sign_of_a_zero_is_0_spreads_apart() -> (
    None
):
    one, two, zero = np.ones(1), np.full(1, 2.0), np.zeros(1)
    known, unknown = Estimate(one, np.full(1, 0.5)), Estimate(one, np.full(1, np.inf))
    assert _spreads(one, one, known) is None
    assert _spreads(one, two, known) == 2.0
    assert _spreads(one, two, unknown) == _spreads(zero, -zero, known) == 0.0


def test_where_one_side_is_wrong_there_is_no_drift() -> None:
    drifts, verdict = Drifts(), judge(simple_case(), "torch")
    wrong = moved(verdict, 1e6)
    assert wrong.findings
    drifts.count(verdict, wrong)
    drifts.count(verdict, None)
    assert not drifts.rows


def test_where_the_releases_document_other_values_there_is_no_drift() -> None:
    drifts, verdict = Drifts(), judge(simple_case(), "torch")
    points = [
        replace(
            point,
            gradients={n: replace(e, value=e.value + 1.0) for n, e in point.gradients.items()},
        )
        for point in verdict.evidence.expectation.points
    ]
    expectation = replace(verdict.evidence.expectation, points=tuple(points))
    other = replace(verdict, evidence=replace(verdict.evidence, expectation=expectation))
    drifts.count(verdict, verdict)
    of_all = sum(drift.arrays for drift in drifts.rows if drift.by == "mode")
    drifts = Drifts()
    drifts.count(verdict, other)
    left = sum(drift.arrays for drift in drifts.rows if drift.by == "mode")
    assert 0 < left < of_all  # the weights behind the step


def test_a_family_is_named_like_its_file() -> None:
    assert (family("dense"), family("lstm")) == ("dense", "recurrent")


# --- the document ---------------------------------------------------------------------------------


def test_the_document_is_plain_json_and_has_the_verdict() -> None:
    head = Head("torch", "3.11", {"torch": {"torch": "2.13.0"}}, (), "Linux")
    pairs = [(side(), side(WRONG))]
    changes = tuple(compared(pairs, VERSIONS))
    drift = (Sample(2, [math.inf]).distances("torch", "mode", "eager"),)
    result = replace(
        unjudged(head, head, "reducing"), counts=counted(pairs), changes=changes, drift=drift
    )
    document = json.loads(text(result))
    assert document["verdict"] == "worse"
    assert document["changes"][0]["kind"]["property"] == "upstream_gradients"
    assert document["drift"][0]["largest"] == "inf"
    assert document["drift"][0]["equal"] == 1
