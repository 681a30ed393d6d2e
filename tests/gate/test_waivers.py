"""What a team takes as it is: only what is new, only until a date, and never silently."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sample_result import ISSUE, WAIVER, sample

from invariants.gate import waivers
from invariants.gate.errors import GateError
from invariants.gate.waivers import Waiver

ENTRY = """
[[waiver]]
backend = "torch"
property = "program_runs"
what = "the step did not end as documented"
reason = "we catch it | <b>"
expires = 2099-12-31
"""


def test_a_waiver_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(ENTRY)
    assert waivers.read(file) == (WAIVER,)


def test_what_is_waived_is_told_and_makes_nothing_worse() -> None:
    names = {c.kind.property_: c for c in sample().changes if c.status == "new"}
    assert not names["program_runs"].worse
    assert names["program_runs"].waived == "we catch it | <b> (until 2099-12-31)"
    assert names["upstream_gradients"].worse
    assert [used.state for used in sample().waivers] == ["in use"]


def test_without_waivers_all_of_it_is_worse() -> None:
    assert {c.kind.property_ for c in sample(waivers=()).changes if c.worse} == {
        "program_runs",
        "upstream_gradients",
    }


def test_a_waiver_holds_through_its_last_day_and_no_longer() -> None:
    last = sample(today=WAIVER.expires)
    assert [used.state for used in last.waivers] == ["in use"]
    after = sample(today=date(2100, 1, 1))
    assert [used.state for used in after.waivers] == ["expired"]
    assert "program_runs" in {c.kind.property_ for c in after.changes if c.worse}


def test_a_waiver_that_nothing_new_needs_is_stale() -> None:
    unneeded = Waiver("torch", "why", date(2099, 1, 1), issue=ISSUE.id)
    shown = sample(waivers=(WAIVER, unneeded))
    assert [used.state for used in shown.waivers] == ["in use", "stale"]
    assert "both" in {c.status for c in shown.changes if c.kind.issue == ISSUE.id}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("[[waiver", "not TOML"),
        ("a = " + "[" * 10_000, "not TOML"),
        ("a = 1" + "0" * 5_000, "not TOML"),
        ("[[issue]]\nid = 1", "holds tables [[waiver]] and nothing else"),
        ("waiver = 1", "holds tables [[waiver]] and nothing else"),
        (ENTRY.replace("reason", "because"), "there is no field 'because'"),
        (ENTRY.replace('"we catch it | <b>"', '" "'), "reason must be a text"),
        ("\n".join(ENTRY.splitlines()[:-1]), "waiver 1: expires is missing"),
        (ENTRY.replace("2099-12-31", '"2099-12-31"'), "expires must be a date"),
        (ENTRY.replace("2099-12-31", "2099-12-31T10:00:00"), "expires must be a date"),
        (ENTRY.replace('"torch"', '"jax"'), "unknown backend 'jax'"),
        (ENTRY.replace("program_runs", "program_walks"), "unknown property 'program_walks'"),
        (ENTRY.replace("property =", "issue ="), "torch has no known issue 'program_runs'"),
        (ENTRY.replace('property = "program_runs"', ""), "an issue, or a property and what"),
        (ENTRY + f'issue = "{ISSUE.id}"', "an issue, or a property and what"),
        (ENTRY + ENTRY, "waiver 2: waives what another one waives"),
    ],
)
def test_a_bad_file_is_refused_in_a_line(content: str | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(GateError) as raised:
        waivers.read(file)
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"--known-issues {file}: ")
    assert "\n" not in str(raised.value)
