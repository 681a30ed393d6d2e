"""What becomes of the functions of a script that are traced, beside the flags that they go by.

Variables may be made in the first call of one alone; an optimizer that waits for its first step
makes its own there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from invariants.oracle.contract import Contract

#: What an action raises: the name of a type and a part of the message.
Raises = tuple[str, str]


@dataclass
class Functions:
    """The functions that have been called; `emptied` are those whose trace is lost with it.

    failed: those whose first trace has raised.
    """

    contract: Contract
    called: set[Any] = field(default_factory=set)
    failed: set[Any] = field(default_factory=set)
    emptied: set[Any] = field(default_factory=set)

    def make_anew(self) -> None:
        """All of them are others from here on."""
        for names in (self.called, self.failed, self.emptied):
            names.clear()

    def is_empty(self, name: Any) -> bool:
        """Whether a call of one does nothing, for its trace was lost."""
        return name in self.emptied and bool(self.contract["function_after_a_failed_trace"])

    def call(
        self, name: Any, raises: Raises | None, makes_variables: bool, again: bool
    ) -> Raises | None:
        """What a call of one raises.

        raises: what is in it does. makes_variables: it does. again: its trace is there already.
        """
        late = name in self.called and makes_variables and not again
        if self.is_empty(name):
            return tuple(self.contract["function_after_a_failed_trace"])
        if name not in self.called and raises:
            self.failed.add(name)
        if name in self.failed and makes_variables:
            self.emptied.add(name)
        self.called.add(name)
        return self.contract["variables_made_late"] if late and not raises else raises
