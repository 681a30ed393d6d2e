"""A finding is known by where it is, and is plain JSON whatever its numbers are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests_support import simple_case

from invariants.finding import Finding
from invariants.report.findings import text

FINDING = Finding(
    property_="upstream_gradients",
    backend="torch",
    action=3,
    subject="dense_0.kernel",
    message="the gradient of dense_0.kernel is not the chain rule's",
    relation="within",
    field="gradients",
    element=(1, 0),
    expected=0.5,
    got=0.75,
    allowed=0.125,
    spreads=40.0,
)


def test_the_document_goes_by_the_name_that_readers_use() -> None:
    document = FINDING.document()
    assert document["property"] == "upstream_gradients"
    assert "property_" not in document
    assert document["element"] == [1, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", ["expected", "got", "allowed", "spreads"])
def test_a_number_that_json_lacks_is_written_as_text(field: str, value: float) -> None:
    change: dict[str, Any] = {field: value}
    document = replace(FINDING, **change).document()
    assert json.loads(json.dumps(document, allow_nan=False))[field] == repr(value)


@pytest.mark.parametrize(
    "change",
    [{"property_": "frozen_state"}, {"backend": "x"}, {"action": 4}, {"subject": "dense_0.bias"}],
    ids=lambda change: next(iter(change)),
)
def test_a_finding_elsewhere_is_another_one(change: dict[str, Any]) -> None:
    assert replace(FINDING, **change).key != FINDING.key


def test_the_same_finding_with_other_numbers_is_the_same() -> None:
    again = replace(FINDING, got=0.875, element=(0, 0), severity="known issue", issue="x")
    assert again.key == FINDING.key


def test_one_that_known_issues_explain_names_the_scripts_that_show_them() -> None:
    issues = ("torch-celu-float32-alpha", "torch-muon-epsilon")
    known = replace(FINDING, action=0, severity="known issue", issue=" + ".join(issues))
    shown = [row for row in text(simple_case(), known).splitlines() if "  shown by " in row]
    assert [Path(row.split()[-1]).stem for row in shown] == [*issues]
    assert "shown by" not in text(simple_case(), replace(FINDING, action=0))
