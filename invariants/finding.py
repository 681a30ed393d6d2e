"""`Finding`: one property that does not hold, with everything that a reader needs to see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["violation", "known issue", "hazard", "unsupported"]


@dataclass(frozen=True)
class Finding:
    """One property that does not hold on one backend.

    property_: the name of the property. action: its number, -1 for what comes before
    the first. subject: a weight, an input, or "". element: an index in canonical layout.
    relation: what should have held between the recorded points, for the repro script:
    "within" (of `expected` by `allowed`), "present", "absent", "same_bits" (as at `earlier`),
    "moved" (since `earlier`), "raises", "ends" (the process did not live to), "quiet", "warns",
    "repeats", "flag", "dtype" (is `expected`).
    field: where the point holds the subject: "gradients", "weights", "slots", "flags", "loss".
    """

    property_: str
    backend: str
    action: int
    subject: str
    message: str
    relation: str
    field: str = ""
    element: tuple[int, ...] | None = None
    expected: float | str | None = None
    got: float | str | None = None
    allowed: float | None = None
    spreads: float | None = None
    earlier: int | None = None
    severity: Severity = "violation"
    issue: str = ""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes it the same finding on the same case."""
        return (self.property_, self.backend, self.action, self.subject)

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        fields = dict(vars(self))
        fields["property"] = fields.pop("property_")
        return {
            name: list(value) if isinstance(value, tuple) else _plain(value)
            for name, value in fields.items()
        }


def _plain(value: Any) -> Any:
    """A number that JSON cannot hold, as text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return repr(value)
    return value
