"""The ledger: one line for whatever is wrong in it, and a label on exactly what it explains.

torch is judged here as if its documentation said something else at some points, so that what torch
really does becomes a known issue.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import at, gradient_of, torch_case
from packaging.specifiers import SpecifierSet

from invariants import ledger
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import Gelu, LeakyRelu, Softplus
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.case import from_json
from invariants.finding import Finding
from invariants.judge import gather, judge
from invariants.ledger import KnownIssue, LedgerError, known_issues, label, parse, told
from invariants.objective import Penalty
from invariants.oracle import optimizers, schedules
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.oracle.contract.domains import OF_ISSUES, words
from invariants.program import Action, Gradient, SetMode, Step
from invariants.properties import PROPERTIES, findings
from invariants.properties.evidence import Evidence

ENTRY = """
[[issue]]
id = "an-issue"
backend = "torch"
versions = { torch = ">=2,<3" }
properties = ["upstream_gradients"]
as_if = { leaky_relu_slope = "float32" }
title = "a title"
reason = "a reason"
reference = "a file"
instead = "something else"
"""


def with_line(name: str, line: str) -> str:
    """ENTRY with another line for the field `name`, or none."""
    lines = [line if row.startswith(f"{name} =") else row for row in ENTRY.splitlines()]
    return "\n".join(row for row in lines if row)


FIELDS = tuple(f.name for f in fields(KnownIssue) if {f.default, f.default_factory} == {MISSING})

BAD: dict[str, tuple[str, str]] = {
    "no TOML": ("[[issue", "not TOML"),
    "an unknown backend": (with_line("backend", 'backend = "jax"'), "unknown backend 'jax'"),
    "an unknown property": (
        with_line("properties", 'properties = ["frozen_weights", "luck"]'),
        "unknown property 'luck'",
    ),
    "a point that the contract lacks": (
        with_line("as_if", "as_if = { weather = 1 }"),
        "no point 'weather'",
    ),
    "no version specifier": (
        with_line("versions", 'versions = { torch = "two" }'),
        "'two' is no version specifier",
    ),
    "a number for a version specifier": (
        with_line("versions", "versions = { torch = 2.13 }"),
        "2.13 is no version specifier of torch, such as",
    ),
    "versions of something else": (
        with_line("versions", 'versions = { torhc = "==2.13.0" }'),
        "versions are of torch, not 'torhc'",
    ),
    "versions that name no package": (
        with_line("versions", "versions = {}"),
        "versions names none of torch",
    ),
    "an empty version specifier": (
        with_line("versions", 'versions = { torch = "" }'),
        "the specifier of torch is empty, that is any version",
    ),
    "a version specifier that is no version": (
        with_line("versions", 'versions = { torch = "===foo" }'),
        "'===foo' is no version specifier of torch, such as",
    ),
    "versions that there cannot be": (
        with_line("versions", 'versions = { torch = ">=3,<2" }'),
        "'>=3,<2' is no version specifier of torch that a version can satisfy",
    ),
    "a field beside the issues": (
        "foo = 1\n" + ENTRY,
        r"\[\[issue\]\] .* not 'foo'",
    ),
    "issues by another name": (ENTRY.replace("[[issue]]", "[[issues]]"), "not 'issues'"),
    "no property": (
        with_line("properties", "properties = []"),
        "properties names none of program_runs, ",
    ),
    "a contract that is the same": (
        with_line("as_if", "as_if = {}"),
        "as_if names no point",
    ),
    "a number that is not finite": (
        with_line("as_if", "as_if = { softplus_linear_beyond = inf }"),
        "as_if holds a number that is not finite",
    ),
    "an option that is no number": (
        ENTRY + 'wanted = { layer = "layer_norm", options = { epsilon = nan } }\n',
        "wanted holds a number that is not finite",
    ),
    "an empty id": (with_line("id", 'id = ""'), r"issue 1 \(''\): id must be words in lower case"),
    "an id of two lines": (
        with_line("id", r'id = "one\ntwo"'),
        r"issue 1 \('one\\ntwo'\): id must be words in lower case",
    ),
    "an id that reads as two": (
        with_line("id", 'id = "one + two"'),
        r"issue 1 \('one \+ two'\): id must be words in lower case",
    ),
    "an id that is a path": (with_line("id", 'id = "../one"'), "id must be words in lower case"),
    "an id that is endless": (with_line("id", f'id = "{"A" * 5000}"'), r"issue 1 \('A{78}…\): id"),
    "a number of too many digits": (f"foo = {'9' * 5000}", "not TOML"),
    "lists in lists without end": (f"foo = {'[' * 50_000}", "not TOML"),
    "a value that its point cannot have": (
        with_line("as_if", 'as_if = { leaky_relu_slope = "float23" }'),
        "leaky_relu_slope must be one of 'exact', 'float32', not 'float23'",
    ),
    "a text where a point is true or false": (
        with_line("as_if", 'as_if = { gradient_kept_by_step = "no" }'),
        "gradient_kept_by_step must be true or false, not 'no'",
    ),
    "a text where a point is a number": (
        with_line("as_if", 'as_if = { softplus_linear_beyond = "20" }'),
        "softplus_linear_beyond must be a number, not '20'",
    ),
    "a text where a point is an exception": (
        with_line("as_if", 'as_if = { scaled_tangent = "RuntimeError" }'),
        "scaled_tangent must be a list, not 'RuntimeError'",
    ),
    "a list where a point is a message": (
        with_line("as_if", "as_if = { stretch_warning = [] }"),
        r"stretch_warning must be a text, not \[\]",
    ),
    "an id that another entry has": (
        ENTRY + ENTRY,
        r"issue 2 \(an-issue\): issue 1 has this id as well",
    ),
    "a property that is no text": (
        with_line("properties", "properties = [[1]]"),
        r"unknown property \[1\], there are program_runs, ",
    ),
    "a mode that there is not": (
        ENTRY + 'modes = ["egaer"]\n',
        "unknown mode 'egaer', there are eager, ",
    ),
    "modes that are no list": (ENTRY + 'modes = "eager"\n', "modes must be a list, not 'eager'"),
    **{
        f"wanted: {line}": (
            ENTRY + f"wanted = {{ {line} }}\n",
            rf"issue 1 \(an-issue\): wanted: {words}",
        )
        for line, words in {
            'colour = "red"': "there is no field 'colour', but layer, options, ",
            'device = "cuda"': "there is no field 'device', but ",
            'mode = "tape"': "mode must be one of eager, .*; got 'tape'",
            'layer = "desne"': "layer must be one of dense, .*; got 'desne'",
            "layer = 0": "layer must be one of dense, .*; got 0",
            'optimizer = "lion"': "optimizer must be one of sgd, .*; got 'lion'",
            'settings = ["clap"]': "settings must be one of clip, .*; got 'clap'",
            'settings = "clip"': "settings must be a list of names; got 'clip'",
            "options = { units = 3 }": "options are of a layer, and none is wanted",
            'layer = "conv2d", options = { padding = "smae" }': "options: padding: should be",
            'layer = "conv3d", options = { kernel_size = [1, 1] }': r"options: kernel_size\.2: is",
            'realised = { optimizer_loop = "fuzed" }': "realised optimizer_loop must be one of",
            'realised = "fused"': "realised must be a mapping",
        }.items()
    },
    "a title that is a number": (with_line("title", "title = 5"), "title must be a text, not 5"),
    **{f"{name} is missing": (with_line(name, ""), f"{name} is missing") for name in FIELDS},
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named_in_one_line(what: str) -> None:
    text, words = BAD[what]
    with pytest.raises(LedgerError, match=words) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_the_entry_that_is_wrong_is_named() -> None:
    second = with_line("id", 'id = "another"').replace('"upstream_gradients"', '"luck"')
    with pytest.raises(LedgerError, match=r"issue 2 \(another\)"):
        parse(ENTRY + second)


@pytest.mark.parametrize(
    "versions",
    [">3", "<3", "<=0", ">2,<2.0.1", ">=2.15,!=2.15.*,<=3.1", "~=2.2,<2.3", "==2.*", "==2.0+cpu"],
)
def test_versions_that_there_can_be_are_taken(versions: str) -> None:
    (issue,) = parse(with_line("versions", f'versions = {{ torch = "{versions}" }}'))
    assert issue.versions == {"torch": SpecifierSet(versions)}


@pytest.mark.parametrize(
    "versions", [">3,<=3", "<0", "==1,==2", "==2.*,<1", ">=10,<10.0", ">=2.15,<2.16,!=2.15.*"]
)
def test_versions_that_there_cannot_be_are_not_taken(versions: str) -> None:
    with pytest.raises(LedgerError, match="that a version can satisfy"):
        parse(with_line("versions", f'versions = {{ torch = "{versions}" }}'))


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (b"\xff\xfe", "not text in UTF-8: invalid start byte at byte 0"),
        (None, "cannot be read: No such file or directory; install the package anew"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(
    held: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if held is not None:
        (tmp_path / "known_issues.toml").write_bytes(held)
    monkeypatch.setattr(ledger.resources, "files", lambda package: tmp_path)
    known_issues.cache_clear()
    with pytest.raises(LedgerError, match=f"known_issues.toml: {words}"):
        known_issues()


UNTOLD = {
    "an unknown field": ENTRY + 'extra = "x"\n',
    "entries that are no tables": "issue = [1]",
    "versions that are no table": with_line("versions", 'versions = "2"'),
}


@pytest.mark.parametrize("what", UNTOLD)
def test_a_wrong_type_or_field_is_named_in_one_line(what: str) -> None:
    with pytest.raises(LedgerError):
        parse(UNTOLD[what])


def test_an_entry_is_read_as_it_stands() -> None:
    (issue,) = parse(ENTRY)
    assert issue.id == "an-issue"
    assert issue.properties == ("upstream_gradients",)
    assert issue.as_if == {"leaky_relu_slope": "float32"}
    assert issue.versions == {"torch": SpecifierSet(">=2,<3")}


def test_a_ledger_may_be_empty() -> None:
    assert parse("") == ()


def read_by_the_rules_of_optimizers() -> set[str]:
    """The points of the contract that the size of an update depends on."""
    rules = (*Path(optimizers.__file__).parent.glob("*.py"), Path(schedules.__file__))
    return {
        point for rule in rules for point in re.findall(r'contract\["(\w+)"\]', rule.read_text())
    }


def test_an_issue_of_an_update_rule_is_one_of_what_a_mask_holds_too() -> None:
    points = read_by_the_rules_of_optimizers()
    concerned = [issue for issue in known_issues() if points & issue.as_if.keys()]
    assert {"torch-float32-counters", "keras-schedule-float32-rate"} <= {i.id for i in concerned}
    assert not [i.id for i in concerned if "frozen_weights" not in i.properties]


def test_what_a_point_can_be_beside_what_contracts_say_is_what_issues_say() -> None:
    said = {(p, v) for issue in known_issues() for p, v in issue.as_if.items() if words(p)}
    assert said >= {(point, word) for point in OF_ISSUES for word in OF_ISSUES[point]}
    assert all(word in words(point) for point, word in said)


def test_every_issue_that_ships_has_a_pinned_case() -> None:
    issues = ledger.known_issues()
    assert issues
    assert all(ledger.pinned_case(issue).is_file() for issue in issues)


# --- versions -------------------------------------------------------------------------------------


def issue_named(name: str = "an-issue", **changes: Any) -> KnownIssue:
    fields: dict[str, Any] = {
        "backend": "torch",
        "versions": {},
        "properties": tuple(PROPERTIES),
        "as_if": {},
        "title": "a title",
        "reason": "a reason",
        "reference": "a file",
        "instead": "something else",
    }
    return KnownIssue(id=name, **{**fields, **changes})


@pytest.mark.parametrize(
    ("installed", "applies"),
    [
        ({"keras": "3.15.1", "tensorflow": "2.21.0"}, True),
        ({"keras": "3.15.2", "tensorflow": "2.21.0"}, False),
        ({"keras": "3.15.1", "tensorflow": "2.22.0"}, False),
        ({"keras": "3.15.1", "tensorflow": "2.21.0rc1"}, True),
        ({"keras": "3.15.1", "tensorflow": ""}, False),
        ({"keras": "3.15.1"}, False),
    ],
)
def test_an_issue_applies_where_every_version_does(
    installed: dict[str, str], applies: bool
) -> None:
    versions = {"keras": SpecifierSet("==3.15.1"), "tensorflow": SpecifierSet(">=2.21.0rc0,<2.22")}
    assert issue_named(versions=versions).applies(installed) is applies


def test_only_issues_of_the_installed_versions_of_the_backend_apply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = issue_named("old", versions={"torch": SpecifierSet("<1")})
    new = issue_named("new", versions={"torch": SpecifierSet(">=1")})
    other = issue_named("other", backend="tensorflow")
    monkeypatch.setattr(ledger, "known_issues", lambda: (old, new, other))
    monkeypatch.setattr(ledger, "versions", lambda backend: {"torch": "2.0"})
    assert ledger.applying("torch") == (new,)


# --- labels ---------------------------------------------------------------------------------------

#: What the documentation of torch is said to say, at points where torch does what it really says.
ELSEWHERE: dict[str, Any] = {
    "leaky_relu_slope": "float32",
    "gelu_constants": "float32",
    "softplus_linear_beyond": None,
    "batch_norm_running_variance": "biased",
}

SLOPE = issue_named("slope", as_if={"leaky_relu_slope": "exact"})
GELU = issue_named("gelu", as_if={"gelu_constants": "exact"})
VARIANCE = issue_named("variance", as_if={"batch_norm_running_variance": "unbiased"})
UNNEEDED = issue_named("softplus", as_if={"softplus_linear_beyond": 20.0})


def judged(
    monkeypatch: pytest.MonkeyPatch,
    *points: str,
    first: AnyLayer | None = None,
    last: AnyLayer | None = None,
    program: tuple[Action, ...] = (Gradient(0),),
) -> Evidence:
    """What torch did with a leaky relu and a gelu, under another contract at `points`."""
    elsewhere = CONTRACTS["torch"].as_if({point: ELSEWHERE[point] for point in points})
    monkeypatch.setitem(CONTRACTS, "torch", elsewhere)
    first, last = first or Dense(units=2), last or Dense(units=1)
    layers = (first, LeakyRelu(negative_slope=0.2), Gelu(), last)
    return gather(torch_case(layers, program), "torch")


def labels(found: list[Finding]) -> set[tuple[str, str]]:
    return {(finding.severity, finding.issue) for finding in found}


def test_what_an_issue_explains_is_labelled_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    found = findings(evidence)
    assert labels(found) == {("violation", "")}
    labelled = label(found, evidence, (SLOPE,))
    assert labels(labelled) == {("known issue", "slope")}
    assert [finding.key for finding in labelled] == [finding.key for finding in found]


def test_an_issue_of_another_mode_explains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    found = findings(evidence)
    assert label(found, evidence, (replace(SLOPE, modes=("compiled",)),)) == found
    mine = replace(SLOPE, modes=("compiled", "eager"))
    assert labels(label(found, evidence, (mine,))) == {("known issue", "slope")}


def test_what_no_issue_explains_stays_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    found = findings(evidence)
    assert label(found, evidence, (GELU, UNNEEDED)) == found
    assert label(found, evidence, ()) == found


def test_an_unexplained_finding_beside_a_known_one_stays_a_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    bias = gradient_of(evidence, 0, "dense_3.bias")
    spoilt = at(evidence, 0, "gradients", "dense_3.bias", bias * 2)
    labelled = label(findings(spoilt), spoilt, (SLOPE,))
    violations = [f.subject for f in labelled if f.severity == "violation"]
    known = {f.subject for f in labelled if f.issue == "slope"}
    assert violations == ["dense_3.bias"]
    assert {"dense_0.kernel", "dense_0.bias", "dense_3.kernel"} <= known


def test_an_error_on_top_of_an_issue_is_not_explained_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    kernel = gradient_of(evidence, 0, "dense_0.kernel")
    spoilt = at(evidence, 0, "gradients", "dense_0.kernel", kernel * (1 + 1e-6))
    labelled = label(findings(spoilt), spoilt, (SLOPE,))
    assert [f.subject for f in labelled if f.severity == "violation"] == ["dense_0.kernel"]


def test_an_issue_explains_only_the_properties_that_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    found = findings(evidence)
    elsewhere = issue_named(
        "slope", as_if=SLOPE.as_if, properties=("frozen_weights", "frozen_state")
    )
    assert label(found, evidence, (elsewhere,)) == found


@pytest.mark.parametrize(
    "issues",
    [(SLOPE, GELU), (GELU, UNNEEDED, SLOPE), (UNNEEDED, SLOPE, GELU)],
    ids=lambda issues: "-".join(issue.id for issue in issues),
)
def test_issues_that_meet_are_named_together_and_an_unneeded_one_is_not(
    monkeypatch: pytest.MonkeyPatch, issues: tuple[KnownIssue, ...]
) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope", "gelu_constants", "softplus_linear_beyond")
    found = findings(evidence)
    for alone in issues:
        assert ("violation", "") in labels(label(found, evidence, (alone,)))
    labelled = label(found, evidence, issues)
    assert {finding.severity for finding in labelled} == {"known issue"}
    needed = " + ".join(issue.id for issue in issues if issue is not UNNEEDED)
    assert needed in {finding.issue for finding in labelled}
    assert all("softplus" not in finding.issue for finding in labelled)


def test_an_issue_that_spoils_what_others_explain_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoiling = issue_named("spoiling", as_if={"softplus_linear_beyond": -9.0})
    points = ("leaky_relu_slope", "gelu_constants")
    evidence = judged(monkeypatch, *points, last=Softplus())
    found = findings(evidence)
    for issues in ((spoiling, SLOPE, GELU), (SLOPE, GELU, spoiling)):
        assert labels(label(found, evidence, issues)) == {("known issue", "slope + gelu")}


def test_findings_with_causes_of_their_own_are_labelled_each_with_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evidence = judged(
        monkeypatch, "leaky_relu_slope", "batch_norm_running_variance", first=BatchNorm()
    )
    labelled = label(findings(evidence), evidence, (SLOPE, VARIANCE))
    named = {(finding.property_, finding.issue) for finding in labelled}
    assert named == {("upstream_gradients", "slope"), ("frozen_state", "variance")}


def test_an_issue_that_explains_alone_is_named_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    labelled = label(findings(evidence), evidence, (GELU, UNNEEDED, SLOPE))
    assert labels(labelled) == {("known issue", "slope")}


def test_a_label_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    found = findings(evidence)
    for before, after in zip(found, label(found, evidence, (SLOPE,)), strict=True):
        assert vars(after) == {**vars(before), "severity": "known issue", "issue": "slope"}


def test_what_stands_behind_a_known_departure_is_judged_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first step leaves other weights than the contract says; those that the issue says."""
    evidence = judged(monkeypatch, "leaky_relu_slope", program=(Step(0), Step(0)))
    assert labels(told(findings(evidence), evidence, (SLOPE,))) == {("known issue", "slope")}
    broken = at(evidence, 1, "gradients", "dense_0.kernel", np.ones((3, 2)))
    assert {finding.action for finding in findings(broken)} == {0}
    (behind,) = (f for f in told(findings(broken), broken, (SLOPE,)) if f.action == 1)
    assert behind.severity == "violation"
    assert behind.key == ("upstream_gradients", "torch", 1, "dense_0.kernel")


def test_what_an_issue_hid_may_be_known_too(monkeypatch: pytest.MonkeyPatch) -> None:
    points = ("leaky_relu_slope", "batch_norm_running_variance")
    program = (SetMode(False), Step(0), SetMode(True), Step(0))
    evidence = judged(monkeypatch, *points, first=BatchNorm(), program=program)
    found = findings(evidence)
    assert {finding.action for finding in found} == {1}
    behind = [f for f in told(found, evidence, (SLOPE, VARIANCE)) if f.action == 3]
    assert labels(behind) == {("known issue", "variance")}


def test_no_finding_means_no_expectation_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = judged(monkeypatch)
    assert findings(evidence) == []
    monkeypatch.setattr(ledger, "expected", None)
    assert label([], evidence, (SLOPE, GELU)) == []


def test_an_issue_of_what_a_case_does_not_ask_for_is_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evidence = judged(monkeypatch, "leaky_relu_slope")
    tried: list[Any] = []

    def noted(evidence: Evidence, issues: Any) -> Contract:
        tried.append([issue.id for issue in issues])
        return evidence.contract

    monkeypatch.setattr(ledger, "_changed", noted)
    label(findings(evidence), evidence, (SLOPE, VARIANCE))
    # What the case asks for is known of the contract as it is, and seen under both; one is tried.
    assert {"leaky_relu_slope"} <= evidence.expectation.asked
    assert tried[0] == ["slope", "variance"]
    assert {name for names in tried[1:] for name in names} == {"slope"}


def test_an_issue_that_has_an_action_end_otherwise_does_not_explain_what_comes_with_it() -> None:
    """A penalty is a number times a sum, which by another issue would not end in a gradient."""
    (issue,) = (one for one in known_issues() if one.id == "torch-forward-mode-trains-padding")
    pinned = from_json(ledger.pinned_case(issue).read_text("utf-8"))
    batch = replace(pinned.batches[0], targets=(np.array([[[-0.5]], [[0.5]]]),))
    case = replace(
        pinned,
        dtype="float32",
        batches=(batch,),
        penalties={"embedding_0.embeddings": Penalty(kind="l1_l2", factor=0.0625)},
        realisations={"torch": replace(pinned.realisations["torch"], mode="linearized")},
    ).check()
    verdict = judge(case, "torch")
    assert {finding.issue for finding in verdict.findings} == {issue.id}
    assert not verdict.violations
