"""Which release is the first to show what another one shows.

The two ends are gated; what is new in the bad one is then looked for in the releases between, by
the smallest case of each. A release that cannot be installed or imported is passed over.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from invariants.backends import BACKENDS
from invariants.backends.runner import BackendUnavailable
from invariants.case import Case, read_case
from invariants.gate import environments, installing
from invariants.gate.change import Kind
from invariants.gate.errors import GateError
from invariants.gate.reducing import differing
from invariants.gate.result import Result
from invariants.gate.running import Settings, environment_of
from invariants.gate.watching import Watcher
from invariants.report.gate import where


@dataclass(frozen=True)
class Edge:
    """Between which releases something came. between: those that could not be asked, in order."""

    last: str
    first: str
    between: tuple[str, ...] = ()

    def told(self, package: str, end: str) -> str:
        """In words; end: "first", or "last" where `first` is the earlier release."""
        if not self.between:
            return f"{package} {self.first} is the {end} to show, {self.last} does not"
        *others, last = self.between
        missing = f"{', '.join(others)} and {last}" if others else last
        return (
            f"{package} {self.first} is the {end} to show of those that could be tried, "
            f"{self.last} does not ({missing} could not be installed or imported)"
        )


def bisected(
    package: str,
    good: str,
    bad: str,
    others: Sequence[str],
    settings: Settings,
    report: Path,
    watcher: Watcher,
    gated: Callable[[environments.Side, environments.Side], Result],
) -> Iterator[tuple[Kind, Edge]]:
    """What is new in `bad`, each with the last release without it and the first one with it.

    others: requirements beside the package. gated: gates the two, and writes what it finds below
    `report`. Raises GateError.
    """
    if package not in {p for backend in BACKENDS.values() for p in backend.PACKAGES}:
        raise GateError(f"{package} is no package of a backend: bisect torch, tensorflow or keras")

    def side(name: str, release: str) -> environments.Side:
        return environments.side(name, [f"{package}=={release}", *others])

    between = released(package, good, bad, settings.python or sys.executable)
    passed = f"{len(between)} {'release' if len(between) == 1 else 'releases'} between them"
    watcher.say(f"bisecting {package} from {good} to {bad}: {passed}")
    worse = gated(side("baseline", good), side("candidate", bad)).worse
    for change in worse:
        if change.folder is None:
            watcher.say(f"{change.kind.rule}: {where(change, report)}; no release is asked for it")
            continue
        case = read_case(report / change.folder / "case.json")

        def shows(release: str, kind: Kind = change.kind, case: Case = case) -> bool | None:
            return _shows(side("candidate", release), kind, case, settings, watcher)

        watcher.say(f"looking for the release that brought {change.kind.rule}")
        yield change.kind, narrowed(good, bad, between, shows)
    if worse and all(change.folder is None for change in worse):
        raise GateError(
            f"{package} {bad} is worse than {good}, but nothing of it showed again on its own, so "
            f"that no release between them can be asked: see the report in {report}"
        )


def is_version(text: str) -> bool:
    """Whether it is one as Python packages have them."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def released(package: str, good: str, bad: str, python: str) -> list[str]:
    """The releases between the two, in the order from good to bad; raises GateError.

    They are final ones, unless one of the two is not.
    """
    more = ["--pre"] if Version(good).is_prerelease or Version(bad).is_prerelease else []
    said = installing.output([python, "-m", "pip", "index", "versions", *more, package])
    listed = re.search(r"^Available versions: (.*)$", said, re.MULTILINE)
    if listed is None:
        raise GateError(f"pip does not say which releases of {package} there are")
    known = sorted({Version(text) for text in listed[1].split(", ")})
    for release in (good, bad):
        if Version(release) not in known:
            raise GateError(f"there is no {package} {release}; the newest is {known[-1]}")
    first, last = sorted((Version(good), Version(bad)))
    inside = [str(v) for v in known if first < v < last and (more or not v.is_prerelease)]
    return inside if Version(good) == first else inside[::-1]


def narrowed(
    good: str, bad: str, between: Sequence[str], shows: Callable[[str], bool | None]
) -> Edge:
    """The last release that does not show it and the next one that does, by halving.

    shows: None for a release that cannot be asked.
    """
    left, every = [*between], [good, *between, bad]
    while left:
        middle = len(left) // 2
        seen = shows(left[middle])
        if seen is None:
            del left[middle]
        elif seen:
            bad, left = left[middle], left[:middle]
        else:
            good, left = left[middle], left[middle + 1 :]
    return Edge(good, bad, tuple(every[every.index(good) + 1 : every.index(bad)]))


def _shows(
    side: environments.Side, kind: Kind, case: Case, settings: Settings, watcher: Watcher
) -> bool | None:
    """Whether a release shows a kind of finding on a case."""
    try:
        place = environment_of(side, settings, watcher).place(settings.case_limit)
    except GateError as error:
        watcher.say(f"passed over: {error}")
        return None
    try:
        seen = differing(kind, case, None, place) is not None
    except BackendUnavailable as error:
        watcher.say(f"passed over: {error}")
        return None
    finally:
        place.close()
    watcher.say(f"{side.text}: {'shows it' if seen else 'does not show it'}")
    return seen
