"""What a fault is, and how a row of a backend's table becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from invariants.faults.patching import broken
from invariants.generate.cases import ANY, Wanted

#: A factor on a gradient that float32 sees and bfloat16 does not.
DRIFT = 1.0 + 1e-5


@dataclass(frozen=True)
class Fault:
    """One known way to break a framework.

    apply: gives a context manager; the framework is broken inside of it alone. targets: what is
    patched. wanted: what the cases are drawn with that it is tried on, where others seldom show it.
    """

    name: str
    backend: str
    sentence: str
    apply: Callable[[], AbstractContextManager[None]]
    targets: tuple[str, ...] = ()
    wanted: Wanted = ANY


@dataclass(frozen=True)
class Row:
    """One row of a table: the sentence, what is patched, and what cases are drawn with to show it.

    The function of the same name in the module takes an original and gives what replaces it.
    """

    sentence: str
    targets: tuple[str, ...]
    wanted: Wanted = ANY


def faults(backend: str, rows: Mapping[str, Row], module: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The faults of a table, whose functions are found in `module`."""
    return tuple(
        Fault(
            name,
            backend,
            row.sentence,
            partial(broken, row.targets, module[name]),
            row.targets,
            row.wanted,
        )
        for name, row in rows.items()
    )
