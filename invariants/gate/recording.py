"""What one environment did with every case of a corpus, as a file.

The head names the environment; behind it stands a message (backends/wire.py) for each case, written
as soon as it has run, so that what was recorded survives whatever ends a run, and the run goes on
behind it. Reading a file executes nothing in it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from invariants.backends import record as run_case
from invariants.backends import versions, wire
from invariants.backends.places import Place
from invariants.backends.probing import lacks
from invariants.backends.runner import BackendUnavailable
from invariants.case import SCHEMA as CASE_SCHEMA
from invariants.case import CaseError, from_json
from invariants.document import Document
from invariants.gate.corpus import Entry
from invariants.gate.environments import Environment
from invariants.gate.errors import GateError
from invariants.observation import DEATHS
from invariants.suite.hunt import repeats

#: Of this format; files of another one are refused by name.
SCHEMA = 1

_KIND = "recording of freeze-invariants"

#: A side is given up when more cases than this end their process, and more than half of all.
_DEATHS = 10


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
    """A whole file."""

    head: Head
    records: tuple[Record, ...]


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
) -> Recording:
    """Runs the corpus at a place and writes the recording as it goes; `tell` hears of each case.

    done: what the file has already, as `continued` read it; it is gone on behind that.
    """
    try:
        with path.open("r+b" if done else "wb") as file:
            if done:
                file.seek(0, 2)
            else:
                file.write(wire.packed({"kind": _KIND, **_plain(head)}))
            for _ in done:
                tell()
            records = [*done]
            for entry in corpus[len(done) :]:
                records.append(_recorded(entry, place))
                file.write(_message(records[-1]))
                file.flush()
                tell()
                _check_deaths(head, records)
    except OSError as error:
        raise GateError(f"cannot write to {path}: {error.strerror or error}") from None
    return Recording(head, tuple(records))


def _recorded(entry: Entry, place: Place) -> Record:
    case, backend = entry.case, entry.backend
    reason = lacks(backend, case.realisations[backend].mode, place)
    if reason:
        return Record(entry, [], None, reason)
    points = run_case(case, backend, place)
    return Record(entry, points, run_case(case, backend, place) if repeats(case) else None)


def _check_deaths(head: Head, records: Sequence[Record]) -> None:
    died = [record for record in records if record.died]
    if len(died) > _DEATHS and 2 * len(died) > len(records):
        raise GateError(
            f"{head.asked}: {len(died)} of {len(records)} cases ended their process, "
            f"the first with {died[0].died}"
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
    """The records that a killed run has left; the file is cut behind the last whole one.

    Raises GateError where they are of another environment or corpus, or cannot be read: only who
    asks for it anew has them written over.
    """
    records: list[Record] = []
    if not path.is_file() or not path.stat().st_size:  # killed before anything was written
        return records
    with path.open("r+b") as file:
        try:
            found = _head(path, file)
        except GateError as error:
            raise GateError(f"--resume: {error}; without --resume the gate starts anew") from None
        if found != head:
            raise GateError(f"--resume: {path} is of {found.asked} in another environment")
        end = file.tell()
        try:
            for record in _records(path, file):
                if len(records) == len(corpus) or record.entry.name != corpus[len(records)].name:
                    raise GateError(f"--resume: {path} is of another corpus")
                # The very case that the other side has: what is expected of it is worked out once.
                records.append(replace(record, entry=corpus[len(records)]))
                end = file.tell()
        except Damaged:
            pass  # the case that was being written; it runs again
        file.truncate(end)
    return records


class Damaged(GateError):
    """A recording that is cut off, or no longer what was written."""


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
            return Recording(_head(path, file), tuple(_records(path, file)))
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


def _head(path: Path, file: IO[bytes]) -> Head:
    value = _next(path, file)
    if value is None or value.pop("kind", None) != _KIND:
        raise Damaged(f"{path} is no recording")
    for name, mine in (("schema", SCHEMA), ("case_schema", CASE_SCHEMA)):
        if value.pop(name, None) != mine:
            raise GateError(f"{path} was recorded by another version of invariants: record it anew")
    try:
        return Head(**value)
    except TypeError:
        raise Damaged(f"{path} is no recording") from None


def _records(path: Path, file: IO[bytes]) -> Iterator[Record]:
    while (value := _next(path, file)) is not None:
        try:
            entry = Entry(value["backend"], from_json(value["case"]))
            yield Record(entry, value["points"], value["again"], value["lacks"])
        except (KeyError, TypeError, CaseError) as error:
            raise Damaged(f"{path} is damaged: {error}") from None
