"""docs/contracts.md says what the contracts say."""

from __future__ import annotations

from pathlib import Path

from invariants.oracle.contract import CONTRACTS
from invariants.report.contracts import page

PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


def test_the_page_is_up_to_date() -> None:
    said = PAGE.read_text("utf-8")
    assert said == page(), "python -m invariants.report.contracts > docs/contracts.md"


def test_every_clause_names_an_address() -> None:
    for contract in CONTRACTS.values():
        for said in (
            *contract.clauses.values(),
            *contract.ways,
            *contract.evaluations,
            *contract.reloads,
            *contract.options,
        ):
            assert said.sentence
            assert said.source.startswith("https://")


def test_contracts_have_the_same_points() -> None:
    first, *others = (set(contract.clauses) for contract in CONTRACTS.values())
    assert all(other == first for other in others)
