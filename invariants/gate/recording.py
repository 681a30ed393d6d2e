"""What one environment did with every case of a corpus, as a file.

The head names the environment; behind it stands a message (backends/wire.py) for each case, written
as soon as it has run, so that what was recorded survives whatever ends a run, and the run goes on
behind it. Behind the last case stands how many there are: a file without that was not finished, and
is no baseline. Reading a file executes nothing in it.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError

from invariants.backends import BACKENDS, versions, wire
from invariants.backends import record as run_case
from invariants.backends.places import Place
from invariants.backends.probing import lacks
from invariants.backends.runner import BackendUnavailable
from invariants.case import SCHEMA as CASE_SCHEMA
from invariants.case import CaseError, from_json
from invariants.document import Document, plainly
from invariants.gate.corpus import Entry
from invariants.gate.environments import Environment
from invariants.gate.errors import GateError
from invariants.observation import DEATHS
from invariants.suite.hunt import repeats

#: Of this format; files of another one are refused by name.
SCHEMA = 2

_KIND = "recording of freeze-invariants"


@dataclass(frozen=True)
class Head(Document):
    """Of which environment a recording is. packages: backend -> package -> version."""

    asked: str
    python: str
    packages: dict[str, dict[str, str]]
    pins: tuple[str, ...]
    system: str


@dataclass(frozen=True)
class Record:
    """One case in it: the recorded points, of a second run where determinism is judged.

    lacks: why it did not run there, in the words of the environment; "" where it did.
    """

    entry: Entry
    points: list[dict[str, Any]]
    again: list[dict[str, Any]] | None = None
    lacks: str = ""

    @property
    def died(self) -> str:
        """How its process ended, "" where it did not."""
        errors = (point["error"] for point in self.points if "error" in point)
        return next((": ".join(error) for error in errors if error[0] in DEATHS), "")


@dataclass(frozen=True)
class Recording:
    """A whole file. prefix: the folder of the environment, "" where that is not known."""

    head: Head
    records: tuple[Record, ...]
    prefix: str = ""

    def is_of(self, environment: Environment) -> bool:
        """Whether an environment is the very one that was recorded, or has the same pins here."""
        asked, head = environment.installed, self.head
        if asked is None or (head.python, head.system) != (asked.version, platform.platform()):
            return False
        held = {name: v for packages in head.packages.values() for name, v in packages.items()}
        alike = all(asked.packages.get(name) in ("", version) for name, version in held.items())
        pins = bool(head.pins) and head.pins == environment.pins
        return alike and (pins or self.prefix == asked.prefix)


def asked(environment: Environment) -> Head:
    """What is known of an environment before it is asked."""
    return Head(environment.side.text, "", {}, environment.pins, "")


def head_of(environment: Environment, place: Place, backends: Sequence[str]) -> Head:
    """What an environment says of itself; its workers are started. Raises GateError."""
    try:
        packages = {backend: versions(backend, place) for backend in backends}
    except BackendUnavailable as error:
        raise GateError(f"--{environment.side.name} {environment.side.text}: {error}") from None
    told = getattr(place, "pythons", {}).values()
    python = next(iter(told), platform.python_version())
    return Head(environment.side.text, python, packages, environment.pins, platform.platform())


def written(
    path: Path,
    head: Head,
    corpus: Sequence[Entry],
    place: Place,
    tell: Callable[[], None],
    done: Sequence[Record] = (),
    prefix: str = "",
) -> Recording:
    """Runs the corpus at a place and writes the recording as it goes; `tell` hears of each case.

    done: what the file has already, as `continued` read it; it is gone on behind that. Raises
    GateError once more than half of the corpus have ended their process.
    """
    try:
        with path.open("r+b" if done else "wb") as file:
            if done:
                file.seek(0, 2)
            else:
                file.write(wire.packed({"kind": _KIND, "prefix": prefix, **_plain(head)}))
            for _ in done:
                tell()
            records = [*done]
            check_deaths(head, records, len(corpus))
            for entry in corpus[len(done) :]:
                records.append(_recorded(entry, place))
                file.write(_message(records[-1]))
                file.flush()
                tell()
                check_deaths(head, records, len(corpus))
            file.write(wire.packed({"cases": len(records)}))
    except OSError as error:
        raise GateError(f"cannot write to {path}: {error.strerror or error}") from None
    return Recording(head, tuple(records), prefix)


def _recorded(entry: Entry, place: Place) -> Record:
    case, backend = entry.case, entry.backend
    reason = lacks(backend, case.realisations[backend].mode, place)
    if reason:
        return Record(entry, [], None, reason)
    points = run_case(case, backend, place)
    return Record(entry, points, run_case(case, backend, place) if repeats(case) else None)


def check_deaths(head: Head, records: Sequence[Record], cases: int) -> None:
    """Raises GateError where more than half of so many cases have ended their process."""
    died = [record for record in records if record.died]
    if 2 * len(died) > cases:
        raise GateError(
            f"{head.asked}: {len(died):,} of {cases:,} cases ended their process, "
            f"the first with {died[0].died}: it cannot be told what it does"
        )


def _plain(head: Head) -> dict[str, Any]:
    return {"schema": SCHEMA, "case_schema": CASE_SCHEMA, **asdict(head)}


def _message(record: Record) -> bytes:
    return wire.packed(
        {
            "backend": record.entry.backend,
            "case": record.entry.case.to_json(),
            "points": record.points,
            "again": record.again,
            "lacks": record.lacks,
        }
    )


def continued(path: Path, head: Head, corpus: Sequence[Entry]) -> list[Record]:
    """The records that a run has left, finished or not; the file is cut behind the last whole one.

    Raises GateError where they are of another environment or corpus, or cannot be read: only who
    asks for it anew has them written over.
    """
    records: list[Record] = []
    if not path.is_file() or not path.stat().st_size:  # killed before anything was written
        return records
    try:
        with path.open("r+b") as file:
            try:
                found, _ = _head(path, file)
            except GateError as error:
                anew = "without --resume the gate starts anew"
                raise GateError(f"--resume: {error}; {anew}") from None
            if found != head:
                raise GateError(f"--resume: {path} is of {found.asked} in another environment")
            end = file.tell()
            try:
                for record in _records(path, file):
                    done = len(records)
                    if done == len(corpus) or record.entry.name != corpus[done].name:
                        raise GateError(f"--resume: {path} is of another corpus")
                    # The very case that the other side has: what is expected of it is worked out
                    # once.
                    records.append(replace(record, entry=corpus[done]))
                    end = file.tell()
            except Damaged:
                pass  # the case that was being written, which runs again, or no end
            file.truncate(end)
    except OSError as error:
        raise GateError(f"--resume: {path}: {error.strerror or error}") from None
    return records


class Damaged(GateError):
    """A recording that is cut off, or no longer what was written."""


class Unfinished(Damaged):
    """A recording whose run was ended before its last case, or that is cut between two cases."""


def is_recording(path: Path) -> bool:
    """Whether a file looks like one."""
    try:
        with path.open("rb") as file:
            return file.read(4) == wire.MAGIC
    except OSError:
        return False


def read(path: Path) -> Recording:
    """The recording in a file, checked; raises GateError, naming the file."""
    try:
        with path.open("rb") as file:
            head, prefix = _head(path, file)
            return Recording(head, tuple(_records(path, file)), prefix)
    except OSError as error:
        raise GateError(f"{path}: {error.strerror or error}") from None


def _next(path: Path, file: IO[bytes]) -> dict[str, Any] | None:
    try:
        message = wire.read(file)
        value = None if message is None else wire.unpacked(message)
    except wire.DamagedMessage as error:
        raise Damaged(f"{path} is damaged: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise Damaged(f"{path} is no recording")
    return value


def _head(path: Path, file: IO[bytes]) -> tuple[Head, str]:
    """The head of a file, and the folder of the environment. Raises GateError."""
    value = _next(path, file)
    if value is None or value.pop("kind", None) != _KIND:
        raise Damaged(f"{path} is no recording")
    for name, mine in (("schema", SCHEMA), ("case_schema", CASE_SCHEMA)):
        if value.pop(name, None) != mine:
            raise GateError(f"{path} was recorded by another version of invariants: record it anew")
    prefix = value.pop("prefix", None)
    try:
        head = TypeAdapter(Head).validate_json(json.dumps(value))  # of strict types
        for backend, packages in head.packages.items():
            if backend not in BACKENDS or packages.keys() != {*BACKENDS[backend].PACKAGES}:
                raise Damaged(f"{path} is damaged: its head: {backend!r} with other packages")
            for version in filter(None, packages.values()):
                Version(version)
    except ValidationError as error:
        said = plainly(error.errors(include_url=False))
        raise Damaged(f"{path} is damaged: its head: {said}") from None
    except (InvalidVersion, TypeError) as error:  # TypeError: of what is in no JSON
        raise Damaged(f"{path} is damaged: its head: {error}") from None
    if not isinstance(prefix, str):
        raise Damaged(f"{path} is damaged: its head: prefix: should be a valid string")
    return head, prefix


def _records(path: Path, file: IO[bytes]) -> Iterator[Record]:
    """The records behind a head; raises Damaged, also where the file does not end as it should."""
    names: set[str] = set()
    while (value := _next(path, file)) is not None:
        if value.keys() == {"cases"}:
            if value["cases"] != len(names) or _next(path, file) is not None:
                raise Damaged(f"{path} is damaged: it says {value['cases']} cases and has others")
            return
        record = _record(path, value)
        if record.entry.name in names:
            raise Damaged(f"{path} is damaged: it has the case {record.entry.name} twice")
        names.add(record.entry.name)
        yield record
    raise Unfinished(f"{path} was not finished: record it again")


def _record(path: Path, value: dict[str, Any]) -> Record:
    try:
        entry = Entry(value["backend"], from_json(value["case"]))
        record = Record(entry, value["points"], value["again"], value["lacks"])
    except (KeyError, TypeError, CaseError) as error:
        raise Damaged(f"{path} is damaged: {error}") from None
    runs = [record.points] if record.again is None else [record.points, record.again]
    if not (isinstance(record.lacks, str) and all(map(_is_run, runs))):
        raise Damaged(f"{path} is damaged: its case {entry.name} does not fit")
    if entry.backend not in BACKENDS or entry.backend not in entry.case.realisations:
        raise Damaged(f"{path} is damaged: it has a case of an unknown backend {entry.backend!r}")
    return record


def _is_run(points: Any) -> bool:
    return isinstance(points, list) and all(isinstance(point, dict) for point in points)
