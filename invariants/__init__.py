"""Verifies that frozen layers stay frozen and still backpropagate.

from hypothesis import given
import invariants

@given(invariants.cases(backends=["torch"]))
def test_my_framework_freezes(case):
    invariants.check(case, "torch")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invariants.case import Case, CaseError, from_json, read_case
    from invariants.finding import Finding
    from invariants.generate.cases import cases
    from invariants.judge import InvariantViolated, Verdict, check

_HOMES = {
    "Case": "invariants.case",
    "CaseError": "invariants.case",
    "Finding": "invariants.finding",
    "InvariantViolated": "invariants.judge",
    "Verdict": "invariants.judge",
    "cases": "invariants.generate.cases",
    "check": "invariants.judge",
    "from_json": "invariants.case",
    "read_case": "invariants.case",
}

__all__ = [
    "Case",
    "CaseError",
    "Finding",
    "InvariantViolated",
    "Verdict",
    "cases",
    "check",
    "from_json",
    "read_case",
]


def __getattr__(name: str) -> Any:
    """Imports at the first use: the pytest plugin must not cost other runs anything."""
    if name not in _HOMES:
        raise AttributeError(f"module 'invariants' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
