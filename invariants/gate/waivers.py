"""What a team takes as it is, for a while: waivers of its own, beside the ledger of known issues.

A waiver names one kind of finding, why it is taken, and until when. What is new and waived does not
make a candidate worse. One that has expired waives nothing, and one that nothing needs is told.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from invariants.backends import BACKENDS
from invariants.document import Document
from invariants.gate.change import Change, Kind
from invariants.gate.errors import GateError
from invariants.hazards import HAZARDS
from invariants.ledger import known_issues
from invariants.properties import PROPERTIES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Waiver:
    """One entry. issue: of a known issue or a hazard; else a property, and what it says."""

    backend: str
    reason: str
    expires: date
    issue: str = ""
    property_: str = ""
    what: str = ""

    @property
    def kind(self) -> Kind:
        """What it waives."""
        return Kind(self.backend, self.property_, self.issue, self.what)


State = Literal["in use", "expired", "stale"]


@dataclass(frozen=True)
class Used(Document):
    """What has become of a waiver. state: of one that nothing needs it is "stale"."""

    kind: Kind
    reason: str
    expires: str
    state: State


_TEXTS = ("backend", "reason", "issue", "property", "what")


def read(path: Path) -> tuple[Waiver, ...]:
    """The waivers in a TOML file; raises GateError with one line."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise GateError(f"--known-issues {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # also what is no text, or too long a number
        raise GateError(f"--known-issues {path}: not TOML: {error}") from None
    entries = document.pop("waiver", [])
    if document or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise GateError(f"--known-issues {path}: holds tables [[waiver]] and nothing else")
    waivers: list[Waiver] = []
    for number, entry in enumerate(entries, start=1):
        where = f"--known-issues {path}: waiver {number}"
        waiver = _entry(where, entry)
        if waiver.kind in [other.kind for other in waivers]:
            raise GateError(f"{where}: waives what another one waives")
        waivers.append(waiver)
    return tuple(waivers)


def _entry(where: str, entry: dict[str, Any]) -> Waiver:
    for name, value in entry.items():
        if name not in (*_TEXTS, "expires"):
            raise GateError(f"{where}: there is no field {name!r}")
        if name in _TEXTS and not (isinstance(value, str) and value.strip()):
            raise GateError(f"{where}: {name} must be a text, not {value!r}")
    for name in ("backend", "reason", "expires"):
        if name not in entry:
            raise GateError(f"{where}: {name} is missing")
    expires = entry["expires"]
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise GateError(f"{where}: expires must be a date such as 2027-01-31, not {expires!r}")
    if entry["backend"] not in BACKENDS:
        raise GateError(f"{where}: unknown backend {entry['backend']!r}")
    named = {"property", "what"} & entry.keys()
    if "issue" in entry:
        known = [issue.id for issue in known_issues() if issue.backend == entry["backend"]]
        if entry["issue"] not in (*known, *(hazard.id for hazard in HAZARDS)):
            raise GateError(f"{where}: {entry['backend']} has no known issue {entry['issue']!r}")
    elif entry.get("property") not in (None, *PROPERTIES):
        raise GateError(f"{where}: unknown property {entry['property']!r}")
    if len(named) != (0 if "issue" in entry else 2):
        raise GateError(f"{where}: names an issue, or a property and what it says")
    property_ = entry.get("property", "")
    return Waiver(
        entry["backend"],
        entry["reason"].strip(),
        expires,
        entry.get("issue", ""),
        property_,
        entry.get("what", ""),
    )


def applied(
    changes: Iterable[Change], waivers: Sequence[Waiver], today: date
) -> tuple[list[Change], list[Used]]:
    """The changes, what makes it worse first and what is waived marked; and what became of each."""
    valid = {waiver.kind: waiver for waiver in waivers if waiver.expires >= today}
    marked = [
        replace(change, waived=f"{valid[change.kind].reason} (until {valid[change.kind].expires})")
        if change.status == "new" and change.kind in valid
        else change
        for change in changes
    ]
    marked.sort(key=lambda change: not change.worse)
    needed = {change.kind for change in marked if change.waived}

    def state(waiver: Waiver) -> State:
        if waiver.expires < today:
            return "expired"
        return "in use" if waiver.kind in needed else "stale"

    return marked, [Used(w.kind, w.reason, w.expires.isoformat(), state(w)) for w in waivers]
