"""The cases that both sides of a gate run: drawn with a fixed seed, or read from a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import seed as seeded

from invariants.backends.needs import missing_modes
from invariants.case import Case, CaseError, read_case, read_offered
from invariants.gate.errors import GateError
from invariants.generate.cases import cases
from invariants.generate.series import drawing
from invariants.ledger import known_issues, pinned_case
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.report.findings import FILES

#: Cases drawn by one Hypothesis run, which holds on to memory.
_BATCH = 100


@dataclass(frozen=True)
class Entry:
    """One case, and the backend that it runs on."""

    backend: str
    case: Case

    @property
    def name(self) -> str:
        return f"{self.backend}-{self.case.name}"


def drawn(
    backends: Sequence[str],
    count: int,
    seed: int,
    modes: Sequence[str],
    releases: Mapping[str, Contract] = CONTRACTS,
) -> list[Entry]:
    """`count` cases of each backend, in its quick modes or equally in each of `modes`.

    Before them stand those that show known issues, so that each of these is seen to come or go.
    releases: of each backend the contract that they are drawn by.
    """
    corpus = pinned(backends, modes)
    for backend in backends:
        contract = releases[backend]
        absent = {*missing_modes(backend), *contract.without}
        asked = [m for m in modes if m in contract.mode_names and m not in absent]
        shares = {m: count // len(asked) + (n < count % len(asked)) for n, m in enumerate(asked)}
        for mode, share in (shares or ({} if modes else {"": count})).items():
            place = 1 + contract.mode_names.index(mode) if mode else 0
            start = seed * 1_000_003 + 10_007 * place
            corpus += _of_mode(backend, mode, share, start, contract)
    return corpus


def pinned(backends: Sequence[str], modes: Sequence[str]) -> list[Entry]:
    """The cases of the ledger, in the quick modes or in these."""
    entries: dict[str, Entry] = {}
    for issue in known_issues():
        entry = Entry(issue.backend, read_case(pinned_case(issue)))
        if issue.backend in backends:
            mode = entry.case.runs_in(issue.backend)
            if (mode.name in modes) if modes else mode.quick:
                entries.setdefault(entry.name, entry)
    return [*entries.values()]


def _of_mode(backend: str, mode: str, count: int, seed: int, contract: Contract) -> list[Entry]:
    """`count` cases that a release has, each of them once. contract: that of the release."""
    found: dict[str, Entry] = {}

    def keep(case: Case) -> None:
        entry = Entry(backend, case)
        if not case.lacking(backend, contract):
            found.setdefault(entry.name, entry)

    releases = {backend: contract}
    while len(found) < count:
        # Each run begins with the simplest case, so one of a few might bring nothing new.
        draw = drawing(min(_BATCH, 10 + count - len(found)))
        seeded(seed)(draw(given(cases((backend,), mode=mode, releases=releases))(keep)))()
        seed += 101
    return [*found.values()][:count]


@dataclass(frozen=True)
class Saved:
    """The cases in a folder. lacks: for each file the backends that lack a part of its case."""

    folder: Path
    cases: Mapping[Path, Case]
    lacks: Mapping[Path, Mapping[str, str]]

    def on(self, backends: Sequence[str], say: Callable[[str], None]) -> list[Entry]:
        """Those that run on these backends, by name of file; raises GateError where none does.

        say: takes a line for each case and backend that lacks a part of it, and does not run it.
        """
        corpus: dict[str, Entry] = {}
        for file, case in self.cases.items():
            for backend in backends:
                if backend in self.lacks[file]:
                    say(f"unsupported: {file} on {backend}: {self.lacks[file][backend]}")
                if backend in case.realisations:
                    entry = Entry(backend, case)
                    corpus.setdefault(entry.name, entry)
        if not corpus:
            raise GateError(f"--corpus: {self.folder} has no case for {' or '.join(backends)}")
        return [*corpus.values()]


def read(folder: Path) -> Saved:
    """The cases in a folder and those below it, checked; raises GateError.

    The files that stand beside the case of a finding are known, and left alone.
    """
    if not folder.is_dir():
        raise GateError(f"--corpus: there is no folder {folder}")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not _beside_a_case(p))
    try:
        found = {file: read_offered(file) for file in files}
    except CaseError as error:
        raise GateError(f"--corpus: {error}") from None
    cases = {file: case for file, (case, _) in found.items()}
    return Saved(folder, cases, {file: lacks for file, (_, lacks) in found.items()})


def _beside_a_case(path: Path) -> bool:
    """Whether it is one of the other files of a finding's folder."""
    others = {*FILES} - {"case.json"}
    return path.name in others and path.with_name("case.json").is_file()
