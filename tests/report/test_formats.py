"""The reports of a gate: each says the verdict and the findings in the words of who reads it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sample_result import HEADS, ISSUE, sample

from invariants.cli import main
from invariants.gate import result_file
from invariants.gate.change import Change
from invariants.gate.result import unjudged
from invariants.report import formats, markdown
from invariants.report.gate import advice

WORSE = sample()
PASSING = replace(WORSE, changes=tuple(c for c in WORSE.changes if not c.worse))
UNJUDGED = unjudged(*HEADS, "running")
HALF = replace(WORSE, interrupted="judging")
FOLDER = Path("gate")


def rendered(name: str, result: object = WORSE) -> str:
    return formats.render(name, result, FOLDER)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("result", [WORSE, PASSING, UNJUDGED, HALF], ids=lambda r: r.verdict)
def test_every_result_has_a_report_of_every_format(name: str, result: object) -> None:
    text = rendered(name, result)
    assert text == rendered(name, result), "the same each time"
    assert text.endswith("\n") or (name, text) == ("annotations", "")


def test_the_terminal_ends_with_the_verdict() -> None:
    last = rendered("terminal").splitlines()[-1]
    assert last.startswith("the candidate is worse: 1 new in the candidate, ")
    assert "1 waived" in last
    assert "interrupted while running" in rendered("terminal", UNJUDGED).splitlines()[-1]


def test_advice_names_the_script_of_an_issue_and_of_each_where_only_several_explain() -> None:
    found = dict(advice("torch-muon-epsilon"))
    assert found["shown by"] == "invariants/known_issues/torch-muon-epsilon.py"
    assert found["instead"]
    both = [*advice("torch-muon-epsilon + zeros-move-frozen")]
    assert [name for name, _ in both] == ["instead", "shown by", "instead"]
    assert [*advice("")] == []


@pytest.mark.parametrize("name", ["terminal", "markdown", "junit", "annotations", "sarif"])
def test_what_is_new_and_known_upstream_is_told_with_its_script(name: str) -> None:
    (new,) = WORSE.worse
    issue = "torch-muon-epsilon"
    known = replace(new, kind=replace(new.kind, issue=issue))
    text = rendered(name, replace(WORSE, changes=(known,))).replace("\\", "")
    assert f"invariants/known_issues/{issue}.py" in text


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_the_table_of_drift_is_explained(name: str) -> None:
    text = " ".join(rendered(name).split())
    assert "σ is the spread of an element" in text
    assert "0 σ: bits differ, but only in elements of which nothing can be said" in text
    assert "σ is the spread" not in rendered(name, replace(WORSE, drift=(), counts={}))


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_it_is_said_why_one_side_has_more_to_judge(name: str) -> None:
    why = "a side is judged up to what it raises at"
    assert why not in rendered(name)
    held = WORSE.counts["torch"]
    fewer = replace(held, gradients=(held.gradients[0], held.gradients[1] - 1))
    assert why in " ".join(rendered(name, replace(WORSE, counts={"torch": fewer})).split())


def known(number: int = 0) -> Change:
    """A change for the worse that goes by the name of a known issue."""
    (new,) = WORSE.worse
    severities = ("", "known issue")
    kind = replace(new.kind, issue=f"torch-muon-epsilon{number or ''}")
    return replace(new, kind=kind, severities=severities, folder="findings/a")


@pytest.mark.parametrize("name", ["terminal", "markdown", "junit", "html", "annotations"])
def test_a_known_issue_that_is_new_is_said_to_count_as_worse(name: str) -> None:
    said = "worse: it is known, but the baseline does not have it"
    assert said in rendered(name, replace(WORSE, changes=(known(),)))
    assert said not in rendered(name)
    assert said not in rendered(name, replace(WORSE, changes=(replace(known(), status="both"),)))


@pytest.mark.parametrize("name", ["terminal", "markdown", "junit", "sarif", "annotations"])
def test_the_script_of_a_finding_is_named_from_the_working_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = replace(WORSE, changes=(known(),))
    for folder in (Path("gate"), tmp_path / "gate", Path("x/../gate")):
        text = formats.render(name, result, folder)
        assert re.search(r"(?<![\w/])gate/findings/a/repro\.py", text), text
    text = formats.render(name, result, tmp_path.parent / "gate")
    assert f"{tmp_path.parent}/gate/findings/a/repro.py" in text


def test_the_terminal_names_a_few_of_what_is_in_both_and_breaks_the_line() -> None:
    both = tuple(replace(known(n), status="both") for n in range(1, 21))
    text = rendered("terminal", replace(WORSE, changes=both))
    said = " ".join(text.partition("20 in both: ")[2].splitlines()[:2])
    assert said.startswith("torch-muon-epsilon1, ")
    assert "torch-muon-epsilon5, … and 15 more" in " ".join(said.split())
    assert "torch-muon-epsilon6" not in text
    assert max(map(len, text.partition("drift")[2].splitlines())) <= 110


# --- Markdown -------------------------------------------------------------------------------------


def test_markdown_begins_with_the_verdict() -> None:
    assert rendered("markdown").startswith("## ❌ The candidate is worse: 1 new")
    assert rendered("markdown", PASSING).startswith("## ✅ The candidate is no worse")
    assert rendered("markdown", HALF).startswith("## ⚠️ It is undecided")


def test_markdown_leaves_no_html_of_a_finding_and_no_broken_table() -> None:
    text = rendered("markdown")
    assert "<script>" not in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 3
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table


def test_markdown_draws_the_network_of_what_is_new() -> None:
    text = rendered("markdown")
    assert text.count("<details>") == text.count("</details>") == len(WORSE.worse) + 1
    assert "dense_0" in text.partition("```text")[2].partition("```")[0]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a gradient of zeros, said simply.", "a gradient of zeros, said simply."),
        ("layer (exclude_layers), or b_1.", "layer (`exclude_layers`), or `b_1`."),
        ("compile() and train_on_batch()", "compile() and `train_on_batch()`"),
        ("script: a/b_c-d/repro.py", "script: `a/b_c-d/repro.py`"),
        ("x)y_z a_b)*c <b> 2|3", r"x)`y_z` `a_b`)`*c` `<b>` `2\|3`"),
    ],
)
def test_markdown_has_paths_and_identifiers_as_code(words: str, shown: str) -> None:
    assert markdown._plain(words) == shown


def test_markdown_folds_what_is_in_both() -> None:
    text = rendered("markdown")
    folded = text.partition("<details><summary>1 in both</summary>")[2].partition("</details>")[0]
    assert f"- torch: `{ISSUE.id}`: " in folded
    assert ISSUE.id not in text.replace(folded, "")


# --- JUnit ----------------------------------------------------------------------------------------


def junit(result: object = WORSE) -> ElementTree.Element:
    return ElementTree.fromstring(rendered("junit", result))


def test_junit_fails_the_property_in_the_mode_that_shows_it() -> None:
    failed = [test for test in junit().iter("testcase") if test.find("failure") is not None]
    assert [(t.get("classname"), t.get("name")) for t in failed] == [
        ("torch.eager", "upstream_gradients")
    ]
    (failure,) = junit().iter("failure")
    assert "expected 0.5, got 0.0" in (failure.text or "")


def test_junit_skips_what_is_waived_with_the_reason() -> None:
    (skipped,) = junit().iter("skipped")
    assert skipped.get("message") == "we catch it | <b> (until 2099-12-31)"


def test_junit_counts_its_tests() -> None:
    for suite in junit(HALF).iter("testsuite"):
        tests = suite.findall("testcase")
        assert suite.get("tests") == str(len(tests))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped",) * 2):
            assert suite.get(attribute) == str(sum(t.find(tag) is not None for t in tests))


def test_junit_of_an_interrupted_gate_is_an_error() -> None:
    (error,) = junit(UNJUDGED).iter("error")
    assert "interrupted while running" in (error.get("message") or "")
    assert not [*junit(PASSING).iter("failure"), *junit(PASSING).iter("error")]


# --- SARIF ----------------------------------------------------------------------------------------


def sarif(result: object = WORSE) -> dict:  # type: ignore[type-arg]
    (run,) = json.loads(rendered("sarif", result))["runs"]
    assert isinstance(run, dict)
    return run


def test_sarif_names_a_rule_a_place_and_a_fingerprint_for_each_result() -> None:
    run = sarif()
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "gate/result.json", "it was not reduced"
    prints = [result["partialFingerprints"]["kind/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_sarif_has_what_the_candidate_shows_by_how_new_it_is() -> None:
    found = {result["ruleId"]: result for result in sarif()["results"]}
    assert found["upstream_gradients"]["level"] == "error"
    assert found["upstream_gradients"]["baselineState"] == "new"
    assert found["program_runs"]["suppressions"][0]["justification"].startswith("we catch it")
    assert "frozen_weights" not in found, "it is gone"
    assert {r["level"] for r in found.values()} == {"error", "note"}


def test_sarif_says_that_a_gate_was_interrupted() -> None:
    assert sarif()["invocations"] == [{"executionSuccessful": True}]
    (invocation,) = sarif(UNJUDGED)["invocations"]
    assert not invocation["executionSuccessful"]


# --- annotations ----------------------------------------------------------------------------------


def test_an_annotation_is_one_line_whose_fields_end_where_they_should() -> None:
    (line,) = rendered("annotations").splitlines()
    start = (
        "::error file=gate/result.json,line=1,title=new in the candidate%3A upstream_gradients::"
    )
    assert line.startswith(start)
    assert "%0Aexpected 0.5, got 0.0" in line
    (line,) = rendered("annotations", UNJUDGED).splitlines()
    assert line.startswith("::error title=the gate was interrupted::")
    assert rendered("annotations", PASSING) == ""


# --- the command ----------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["invariants", "report", *map(str, arguments)])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_the_command_makes_a_report_of_a_file_or_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "result.json").write_text(result_file.text(WORSE))
    assert run(monkeypatch, tmp_path, "--format", "markdown") == 0
    assert capsys.readouterr().out == formats.render("markdown", WORSE, tmp_path)
    out = tmp_path / "j.xml"
    assert run(monkeypatch, tmp_path / "result.json", "--format", "junit", "-o", out) == 0
    assert out.read_text() == formats.render("junit", WORSE, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none",), "none: No such file"),
        (("result.json", "--format", "pdf"), "unknown format 'pdf'"),
        (("result.json", "-o", "/proc/x"), "cannot write to /proc/x"),
    ],
)
def test_what_cannot_be_reported_is_one_line_and_exit_2(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "result.json").write_text(result_file.text(WORSE))
    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
