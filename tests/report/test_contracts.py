"""docs/contracts.md says what the contracts say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

from invariants.oracle.contract import CONTRACTS
from invariants.program import Action
from invariants.report.contracts import page

PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


def test_the_page_is_up_to_date() -> None:
    said = PAGE.read_text("utf-8")
    assert said == page(), "python -m invariants.report.contracts > docs/contracts.md"


def test_every_clause_names_an_address() -> None:
    for contract in CONTRACTS.values():
        for said in (
            *contract.clauses.values(),
            *contract.actions,
            *contract.ways,
            *contract.evaluations,
            *contract.reloads,
            *contract.options,
        ):
            assert said.sentence
            assert said.source.startswith("https://")


def test_a_release_says_otherwise_at_points_that_there_are_and_why() -> None:
    for contract in CONTRACTS.values():
        for release in contract.releases:
            assert f"## {release.name}" in page()
            for point, clause in release.clauses.items():
                assert clause.value != contract[point], point
                assert clause.sentence
                assert clause.source.startswith("https://")
            assert all((release.lacks | release.without).values())


def test_contracts_have_the_same_points() -> None:
    first, *others = (set(contract.clauses) for contract in CONTRACTS.values())
    assert all(other == first for other in others)


def test_every_action_of_a_program_has_a_row_in_every_contract() -> None:
    union, _ = get_args(Action)
    kinds = {get_args(get_type_hints(one)["action"])[0] for one in get_args(union)}
    assert {"freeze", "step", "reload"} < kinds
    first, *others = ([row.action for row in c.actions] for c in CONTRACTS.values())
    assert {row.partition(",")[0] for row in first} == kinds
    assert len(set(first)) == len(first)
    assert all(other == first for other in others)


def test_what_differs_is_told_in_short_with_a_source_for_each() -> None:
    table = page().partition("## Where they differ")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "---" not in row][1:]
    assert len(rows) > 50
    for row in rows:
        assert row.count("](https://") == len(CONTRACTS), row
        told = row.partition("[torch]")[0]
        assert not re.search(r"\('|\(\)", told), row
        assert len(told) < 500, row
