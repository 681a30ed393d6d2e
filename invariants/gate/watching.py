"""Who hears how far a gate is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Watcher(Protocol):
    """A terminal, or the log of a job."""

    def say(self, line: str) -> None: ...

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Gives what is called at each of `total` steps."""
