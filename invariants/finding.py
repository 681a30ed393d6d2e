"""`Finding`: one property that does not hold, with everything that a reader needs to see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from invariants.document import Document, Number

Severity = Literal["violation", "known issue", "hazard", "unsupported"]


@dataclass(frozen=True)
class Finding(Document):
    """One property that does not hold on one backend.

    property_: the name of the property. action: its number, -1 for what comes before
    the first. subject: a weight, an input, or "". element: an index in canonical layout.
    relation: what should have held between the recorded points, for the repro script:
    "within" (of `expected` by `allowed`), "present", "absent", "same_bits" (as at `earlier`),
    "moved" (since `earlier`), "raises", "ends" (the process did not live to), "quiet", "warns",
    "repeats", "flag", "dtype" (is `expected`).
    field: where the point holds the subject: "gradients", "weights", "slots", "flags", "loss".
    """

    property_: Annotated[str, Field(alias="property")]
    backend: str
    action: int
    subject: str
    message: str
    relation: str
    field: str = ""
    element: tuple[int, ...] | None = None
    expected: Number | str | None = None
    got: Number | str | None = None
    allowed: Number | None = None
    spreads: Number | None = None
    earlier: int | None = None
    severity: Severity = "violation"
    issue: str = ""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes it the same finding on the same case."""
        return (self.property_, self.backend, self.action, self.subject)

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        document: dict[str, Any] = _adapter().dump_python(self, mode="json", by_alias=True)
        return document


@cache
def _adapter() -> TypeAdapter[Finding]:
    return TypeAdapter(Finding)
