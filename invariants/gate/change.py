"""What a gate says of each kind of finding: the values, as they stand in a result file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from invariants.case import Case, CaseError, from_json
from invariants.document import Document
from invariants.finding import Finding

Status = Literal["new", "gone", "both", "unmasked"]

SideName = Literal["baseline", "candidate"]

#: The names of the two sides, in the order in which pairs hold them.
SIDES: tuple[SideName, SideName] = ("baseline", "candidate")


@dataclass(frozen=True, order=True)
class Kind(Document):
    """What makes two findings the same. issue: a known issue or a hazard; what: in words."""

    backend: str
    property_: Annotated[str, Field(alias="property")]
    issue: str
    what: str

    @property
    def rule(self) -> str:
        """A short name."""
        return self.issue or self.property_


@dataclass(frozen=True)
class Shown(Document):
    """A case that shows a change, with the script. reduced: whether it is a smallest one."""

    side: SideName
    reduced: bool
    case: Mapping[str, Any]
    finding: Finding
    repro: str

    def read(self) -> Case | None:
        """The case; None where another version of this package wrote it."""
        try:
            return from_json(json.dumps(self.case))
        except CaseError:
            return None


@dataclass(frozen=True)
class Change(Document):
    """One kind of finding, and the cases that show it on either side.

    status: of the kind. severities: on either side, "" where it does not show.
    decisive: the cases that make it new or gone. example: what one of them expected and got.
    cells: the modes and the properties in which these cases show it, or all cases where none
    decides. waived: why the team that gates takes it as it is, "" where it does not.
    folder: where the smallest case of what is worse was written, from the folder of the result.
    """

    kind: Kind
    status: Status
    severities: tuple[str, str]
    baseline: tuple[str, ...]
    candidate: tuple[str, ...]
    decisive: tuple[str, ...]
    example: str = ""
    cells: tuple[tuple[str, str], ...] = ()
    waived: str = ""
    folder: str | None = None
    shown: Shown | None = None

    @property
    def worse(self) -> bool:
        return self.status == "new" and not self.waived

    @property
    def severity(self) -> str:
        """What either side calls it."""
        return ", ".join(dict.fromkeys(filter(None, self.severities)))


@dataclass(frozen=True)
class ChangedPoint(Document):
    """A point of a contract that the two sides keep otherwise.

    issue: the known issue that has it so, or the name of the older release that documents it so.
    """

    backend: str
    point: str
    documented: Any
    baseline: Any
    candidate: Any
    issue: str
