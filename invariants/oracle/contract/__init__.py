"""What each framework documents, as data: one clause for each point, with its source.

Judging follows these clauses and nothing that a framework happens to do. Where the documentation is
silent, the sentence says what its users would expect.
"""

from __future__ import annotations

from invariants.oracle.contract.clauses import (
    Clause,
    Contract,
    Device,
    Evaluation,
    Mode,
    Option,
    Release,
    Reloading,
    Way,
    Writing,
    worded,
)
from invariants.oracle.contract.tensorflow import TENSORFLOW
from invariants.oracle.contract.torch import TORCH

CONTRACTS: dict[str, Contract] = {c.backend: c for c in (TORCH, TENSORFLOW)}

__all__ = [
    "CONTRACTS",
    "TENSORFLOW",
    "TORCH",
    "Clause",
    "Contract",
    "Device",
    "Evaluation",
    "Mode",
    "Option",
    "Release",
    "Reloading",
    "Way",
    "Writing",
    "worded",
]
