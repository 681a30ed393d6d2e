"""What a fault is, and how a row of a backend's table becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from invariants.faults.patching import broken

#: A factor on a gradient that float32 sees and bfloat16 does not.
DRIFT = 1.0 + 1e-5


@dataclass(frozen=True)
class Fault:
    """One known way to break a framework.

    apply: gives a context manager; the framework is broken inside of it alone. targets: what is
    patched. mode: that of the programs which it breaks; "" where it is none in particular.
    """

    name: str
    backend: str
    sentence: str
    apply: Callable[[], AbstractContextManager[None]]
    targets: tuple[str, ...] = ()
    mode: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table: the sentence, the functions or classes that are patched, and the mode.

    The function of the same name in the module takes an original and gives what replaces it.
    """

    sentence: str
    targets: tuple[str, ...]
    mode: str = ""


def faults(backend: str, rows: Mapping[str, Row], module: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The faults of a table, whose functions are found in `module`."""
    return tuple(
        Fault(
            name,
            backend,
            row.sentence,
            partial(broken, row.targets, module[name]),
            row.targets,
            row.mode,
        )
        for name, row in rows.items()
    )
