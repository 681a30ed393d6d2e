"""The result of a gate as a file: what every report is made from, and nothing else.

The models are the schema (`python -m invariants.gate.result_file > docs/result.schema.json`). A
file is checked whole before anything is made of it, and nothing in it is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from invariants.case import Case, CaseError, from_json
from invariants.gate.comparison import Status
from invariants.gate.errors import GateError
from invariants.gate.result import SCHEMA, Part


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


#: A number of spreads; JSON has no infinity.
Spreads = float | Literal["inf"]


class Head(_Model):
    """What an environment is. packages: backend -> package -> version."""

    asked: str
    python: str
    packages: Mapping[str, Mapping[str, str]]
    pins: tuple[str, ...]
    system: str


class Counts(_Model):
    """How much was judged on a backend; pairs: baseline and candidate."""

    cases: int
    modes: Mapping[str, int]
    reach: Mapping[str, int]
    gradients: tuple[int, int]
    elements: tuple[int, int]
    died: tuple[int, int]


class Kind(_Model):
    """A kind of finding: a known issue or a hazard, or what a property says."""

    backend: str
    property_: str = Field(alias="property")
    issue: str
    what: str

    @property
    def rule(self) -> str:
        """A short name."""
        return self.issue or self.property_


class Cell(_Model):
    """In how many cases a property fails in a mode, by severity, on either side."""

    backend: str
    mode: str
    property_: str = Field(alias="property")
    baseline: Mapping[str, int]
    candidate: Mapping[str, int]
    issues: tuple[str, ...]


class Finding(_Model):
    """One property that does not hold; see invariants/finding.py."""

    property_: str = Field(alias="property")
    backend: str
    action: int
    subject: str
    message: str
    relation: str
    field: str
    element: tuple[int, ...] | None
    expected: float | str | None
    got: float | str | None
    allowed: float | str | None
    spreads: float | str | None
    earlier: int | None
    severity: Literal["violation", "known issue", "hazard", "unsupported"]
    issue: str


class Shown(_Model):
    """A case that shows a change. reduced: whether it is a smallest one."""

    side: Literal["baseline", "candidate"]
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


class Change(_Model):
    """A kind of finding on both sides; cells: the modes and the properties that show it."""

    kind: Kind
    status: Status
    severities: tuple[str, str]
    baseline: tuple[str, ...]
    candidate: tuple[str, ...]
    decisive: tuple[str, ...]
    example: str
    cells: tuple[tuple[str, str], ...]
    waived: str
    folder: str | None
    shown: Shown | None

    @property
    def worse(self) -> bool:
        return self.status == "new" and not self.waived

    @property
    def severity(self) -> str:
        """What either side calls it."""
        return ", ".join(dict.fromkeys(filter(None, self.severities)))


class Point(_Model):
    """A point of a contract that the two sides keep otherwise."""

    backend: str
    point: str
    documented: Any
    baseline: Any
    candidate: Any
    issue: str


class Distances(_Model):
    """How far some arrays are apart. equal: how many are not; quantiles: of all others."""

    backend: str
    by: str
    name: str
    arrays: int
    equal: int
    quantiles: tuple[Spreads, Spreads, Spreads, Spreads, Spreads]
    largest: Spreads

    @property
    def median(self) -> float:
        return float(self.quantiles[2])

    @property
    def share(self) -> float:
        """The share of equal arrays."""
        return self.equal / self.arrays if self.arrays else 1.0


class Offer(_Model):
    """What one side lacks and the other has."""

    backend: str
    what: str
    lacking: str
    cases: int


class Waiver(_Model):
    """What a team takes as it is."""

    kind: Kind
    reason: str
    expires: str
    state: Literal["in use", "expired", "stale"]


class ResultFile(_Model):
    """The whole. interrupted: the part that did not come to its end, or nothing."""

    schema_: Literal[2] = Field(alias="schema")
    verdict: Literal["worse", "no worse", "undecided"]
    interrupted: Part | Literal[""]
    baseline: Head
    candidate: Head
    seed: int | None
    counts: Mapping[str, Counts]
    matrix: tuple[Cell, ...]
    changes: tuple[Change, ...]
    points: tuple[Point, ...]
    drift: tuple[Distances, ...]
    errors: tuple[Distances, ...]
    offers: tuple[Offer, ...]
    waivers: tuple[Waiver, ...]
    seconds: float

    @property
    def worse(self) -> tuple[Change, ...]:
        """What keeps the candidate out."""
        return tuple(change for change in self.changes if change.worse)


def parsed(text: str | bytes) -> ResultFile:
    """The result that a text holds; raises ValueError with one line."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(document, dict) or "verdict" not in document:
        raise ValueError("not the result of a gate")
    if document.get("schema") != SCHEMA:
        raise ValueError(
            f"this version reads schema {SCHEMA}, the file has {document.get('schema')!r}"
        )
    try:
        return ResultFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def read(path: Path) -> ResultFile:
    """The result in a file, or in the folder of a report; raises GateError, naming the file."""
    path = path / "result.json" if path.is_dir() else path
    try:
        return parsed(path.read_bytes())
    except OSError as error:
        raise GateError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise GateError(f"{path}: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON schema of a result file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ResultFile.model_json_schema(by_alias=True),
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1))
