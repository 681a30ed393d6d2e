"""Known ways to break each framework's freezing or differentiation: proof that the suite notices.

A fault patches public functions and classes of a framework, never this project's code, so that the
scripts of the cases meet a framework that is wrong in one known way. Neither framework is imported
before a fault is applied.
"""

from __future__ import annotations

from invariants.faults import tensorflow, torch
from invariants.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (*torch.FAULTS, *tensorflow.FAULTS)


def of(backend: str) -> tuple[Fault, ...]:
    """The faults of one backend; raises ValueError for a backend that has none."""
    found = tuple(fault for fault in FAULTS if fault.backend == backend)
    if not found:
        known = ", ".join(dict.fromkeys(fault.backend for fault in FAULTS))
        raise ValueError(f"backend must be one of {known}; got {backend!r}")
    return found


__all__ = ["FAULTS", "Fault", "of"]
