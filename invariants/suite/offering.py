"""Which layers an installation does not offer, and in which dtypes, in the framework's own words.

Every kind of layer is asked for in every dtype: its smallest case runs as any case does, and what
comes back is read as it is of any case. That takes seconds in torch and about a minute in Keras, so
the answer is kept on disk for as long as it is made of the same: releases, Python, machine, and the
code that writes the scripts. The cases run in a worker, so that a kernel that takes its process
along does not end the run that asks.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import platformdirs
from pydantic import TypeAdapter

from invariants.architecture.layers import LAYERS
from invariants.backends import versions
from invariants.backends.places import Apart, Place
from invariants.case import CaseError
from invariants.document import Document
from invariants.generate.smallest import smallest_case
from invariants.judge import gather
from invariants.oracle.contract import CONTRACTS
from invariants.program import Dtype
from invariants.properties import program_runs


@dataclass(frozen=True)
class Lack(Document):
    """A kind of layer that is not offered: in which dtype or with which option, and who says so."""

    kind: str
    part: str  # "in float16", "with an_option", "" where there is no such layer at all
    said: str


_LACKS = TypeAdapter(tuple[Lack, ...])


def lacking(
    backend: str, device: str, tell: Callable[[str], None] | None
) -> tuple[Lack, ...] | None:
    """What a backend lacks here, as it was kept or else as it is asked now.

    tell: takes a line of progress; without it nothing is asked, and the answer is None where none
    is kept. Raises BackendUnavailable where the framework cannot be used.
    """
    file = _file(backend, device)
    kept = _read(file)
    if kept is not None or tell is None:
        return kept
    tell(f"asking {backend} which layers it has in which dtypes (once; up to a minute) ...")
    with closing(Apart(sys.executable, own=True)) as place:
        asked = tuple(ask(backend, device, place))
    if not _written(file, asked):
        where = f": {file.parent} cannot be written" if file else ", for want of a home"
        tell(f"the answer is not kept, and asked for anew each time{where}")
    return asked


def ask(backend: str, device: str, place: Place, kinds: Iterable[str] = LAYERS) -> Iterator[Lack]:
    """What the framework says that it lacks, of these kinds."""
    for kind in kinds:
        lacks: dict[str, Lack] = {}
        for dtype in get_args(Dtype):
            if kind not in CONTRACTS[backend].lacks and "" not in lacks:
                found = _asked(kind, backend, dtype, device, place)
                lacks |= {lack.part: lack for lack in found}
        yield from lacks.values()


def _asked(kind: str, backend: str, dtype: Dtype, device: str, place: Place) -> Iterator[Lack]:
    try:
        case = smallest_case(kind, backend, dtype, device)
    except CaseError:  # no case has it
        return
    for finding in program_runs.judge(gather(case, backend, place=place)):
        if finding.severity == "unsupported":
            _, _, part = finding.message.partition(" is not offered")
            yield Lack(kind, part.strip(), str(finding.got))


@cache
def _written_by() -> str:
    """A digest of the code that says what is asked and how the answer is read."""
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(package.glob("*/**/*.py")):
        if path.relative_to(package).parts[0] in _ROOMS:
            digest.update(path.read_bytes())
    return digest.hexdigest()


_ROOMS = ("architecture", "backends", "generate", "oracle", "properties", "suite")


def _file(backend: str, device: str) -> Path | None:
    """Where the answer is kept; None where there is no place for it."""
    made_of = [
        versions(backend),
        device,
        sys.version,
        platform.platform(),
        os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
        _written_by(),
    ]
    name = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    try:
        cached = platformdirs.user_cache_path("freeze-invariants")
    except (OSError, RuntimeError):  # a user without a home
        return None
    return cached / "layers" / f"{backend}-{name}.json"


def _read(file: Path | None) -> tuple[Lack, ...] | None:
    """What is kept; None where nothing is, or nothing that can be read."""
    try:
        return _LACKS.validate_json(file.read_bytes()) if file else None
    except (OSError, ValueError):
        return None


def _written(file: Path | None, lacks: tuple[Lack, ...]) -> bool:
    """Keeps the answer, whole or not at all, beside others who may write the same."""
    if file is None:
        return False
    partial = file.with_suffix(f".{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(_LACKS.dump_json(lacks))
        partial.replace(file)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        return False
    return True
