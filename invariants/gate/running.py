"""The whole of a gate: make both environments, run the corpus in both, judge, compare, reduce."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from invariants.backends import BACKENDS
from invariants.backends.places import Apart
from invariants.gate import corpus as corpora
from invariants.gate import environments, recording, reducing, waivers
from invariants.gate.change import Change
from invariants.gate.comparison import changed_points, compared, documented_otherwise
from invariants.gate.corpus import Entry, Saved
from invariants.gate.environments import Environment, Side
from invariants.gate.errors import GateError, Stopped
from invariants.gate.folder import cleared
from invariants.gate.installing import installer
from invariants.gate.judgement import judgement
from invariants.gate.judging import UNJUDGED, Judged
from invariants.gate.matrix import matrix
from invariants.gate.recording import Head, Recording
from invariants.gate.result import Part, Ran, Result, counted, offers, unjudged
from invariants.gate.showing import shown
from invariants.gate.waivers import Waiver
from invariants.gate.watching import Watcher
from invariants.oracle.contract import CONTRACTS

_Given = TypeVar("_Given")
_Done = TypeVar("_Done")


@dataclass(frozen=True)
class Settings:
    """How a gate runs; see `invariants gate --help`."""

    backends: tuple[str, ...] = ()
    cases: int = 400
    seed: int = 0
    modes: tuple[str, ...] = ()
    corpus: Path | None = None
    case_limit: float = 60.0
    reduce_seconds: float = 60.0
    python: str = ""
    cache: Path | None = None
    resume: bool = False
    waivers: tuple[Waiver, ...] = ()


class Interrupted(KeyboardInterrupt):
    """The user has had enough; `result` is what is known by then."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"while {result.interrupted}")
        self.result = result


class _Cut(KeyboardInterrupt):
    """The user has had enough of running: what is known of each side, and how many cases it ran."""

    def __init__(self, heads: Sequence[Head], ran: Sequence[int]) -> None:
        super().__init__("while running")
        self.heads, self.ran = heads, ran


def environment_of(
    side: Side, settings: Settings, watcher: Watcher, stop: threading.Event | None = None
) -> Environment:
    """The environment of one side; raises GateError, or Stopped where it is to stop."""
    tools = installer(stop or threading.Event())
    cache = settings.cache or environments.cache_folder()
    return environments.made(side, settings.python or sys.executable, cache, tools, watcher.say)


def environments_of(
    sides: Sequence[Side], settings: Settings, watcher: Watcher
) -> list[Environment]:
    """Both environments, made side by side; raises GateError where they are the same.

    They are by what they say of themselves, however they were asked for.
    """
    stop = threading.Event()

    def one(side: Side) -> Environment:
        made = environment_of(side, settings, watcher, stop)
        return replace(made, installed=environments.installed(made))

    found = _side_by_side(one, sides, stop)
    if len(found) > 1 and found[0].installed == found[1].installed:
        raise _same(found)
    return found


def _same(found: Sequence[Environment]) -> GateError:
    """What is to be said where both sides are one."""
    pins = [pin for environment in found for pin in environment.pins if _is_framework(pin)]
    told = ", ".join(dict.fromkeys(pins)) or found[0].python
    return GateError(
        f"baseline and candidate are the same environment ({told}): there is nothing to compare"
    )


def _is_framework(pin: str) -> bool:
    return pin.partition("=")[0] in ("torch", "tensorflow", "keras")


def common(
    found: Sequence[Environment], asked: Sequence[str], held: Sequence[Mapping[str, str]]
) -> list[str]:
    """The backends to gate: those asked for, or all that every environment has.

    held: the packages of each.
    """
    there = [*map(environments.offered, held)]
    for backend in asked:
        for environment, offered in zip(found, there, strict=True):
            if backend not in offered:
                side = environment.side
                raise GateError(f"--{side.name} {side.text}: {backend} is not installed there")
    backends = list(asked) or [b for b in there[0] if all(b in offered for offered in there)]
    if not backends:
        told = " and ".join(
            f"{e.side.name} has {' and '.join(offered) or 'none'}"
            for e, offered in zip(found, there, strict=True)
        )
        raise GateError(f"the environments have no framework in common: {told}")
    return backends


def saved(settings: Settings) -> Saved | None:
    """The saved cases that are asked for, known to be some; raises GateError."""
    if settings.corpus is None:
        return None
    held = corpora.read(settings.corpus)
    held.on(settings.backends or tuple(BACKENDS), lambda line: None)
    return held


def corpus_of(
    held: Saved | None,
    backends: Sequence[str],
    settings: Settings,
    watcher: Watcher,
    sides: Sequence[Mapping[str, str]],
) -> list[Entry]:
    """The cases that both sides run: those that are saved, or drawn ones.

    sides: the versions of each; where one is of an older release, cases are drawn of what that has.
    """
    if held is not None:
        return held.on(backends, watcher.say)
    releases = {backend: CONTRACTS[backend].oldest(sides) for backend in backends}
    for backend, contract in releases.items():
        if contract.release:
            watcher.say(f"{backend}: cases are drawn from what {contract.release} has")
    corpus = corpora.drawn(backends, settings.cases, settings.seed, settings.modes, releases)
    if not corpus:
        modes, names = " or ".join(settings.modes), " and ".join(backends)
        raise GateError(f"--mode: there is no case to run: {modes} is no mode of {names} here")
    return corpus


def recorded(side: Side, settings: Settings, output: Path, watcher: Watcher) -> Recording:
    """Records one side into a file, which is there once it is whole. Raises GateError."""
    if output.exists() and not output.is_file():  # a device would make room for a file
        raise GateError(f"cannot write to {output}: it is no regular file")
    if not output.parent.is_dir():
        raise GateError(f"cannot write to {output}: there is no folder {output.parent}")
    try:
        # A folder of its own, made first: no other run, and no file of the user, has its name.
        with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as beside:
            partial = Path(beside) / output.name
            try:
                written = _recorded_at(side, settings, partial, watcher)
            except GateError as error:  # the user knows the file by the name that was asked for
                raise GateError(str(error).replace(str(partial), str(output))) from None
            partial.replace(output)
    except OSError as error:
        raise GateError(f"cannot write to {output}: {error.strerror or error}") from None
    return written


def _recorded_at(side: Side, settings: Settings, file: Path, watcher: Watcher) -> Recording:
    cases = saved(settings)
    (found,) = environments_of([side], settings, watcher)
    packages = [environments.packages(found)]
    backends = common([found], settings.backends, packages)
    corpus = corpus_of(cases, backends, settings, watcher, packages)
    (written,), (place,) = recordings_of([found], backends, corpus, [file], settings, watcher)
    place.close()
    return written


def recordings_of(
    found: Sequence[Environment],
    backends: Sequence[str],
    corpus: Sequence[Entry],
    files: Sequence[Path],
    settings: Settings,
    watcher: Watcher,
) -> tuple[list[Recording], list[Apart]]:
    """What each environment does with the corpus, side by side; and the workers, still there.

    Raises _Cut where the user interrupts it.
    """
    heads, ran = [recording.asked(environment) for environment in found], [0] * len(found)
    begun: set[int] = set()
    places = [environment.place(settings.case_limit) for environment in found]
    stop = threading.Event()

    try:
        with watcher.counting("running", len(corpus) * len(found)) as tell:

            def one(number: int) -> Recording:
                def told() -> None:
                    ran[number] += 1
                    tell()
                    if stop.is_set():
                        raise Stopped

                place, file = places[number], files[number]
                heads[number] = recording.head_of(found[number], place, backends)
                done = []
                if settings.resume:
                    done = recording.continued(file, heads[number], corpus)
                    name, taken = found[number].side.name, f"{len(done):,} of {len(corpus):,}"
                    watcher.say(f"{name}: resuming, {taken} cases are taken from {file}")
                if not done and (not file.exists() or os.access(file, os.W_OK)):
                    begun.add(number)  # what cannot be written over stays as it is
                of = found[number].installed
                prefix = of.prefix if of else ""
                return recording.written(file, heads[number], corpus, place, told, done, prefix)

            return _side_by_side(one, range(len(found)), stop), places
    except BaseException as error:
        for place in places:
            place.close()
        for number in begun:
            if not ran[number]:  # nothing is in it to go on from
                _taken_away(files[number])
        if isinstance(error, KeyboardInterrupt):
            raise _Cut(heads, ran) from None
        raise


def _taken_away(file: Path) -> None:
    with contextlib.suppress(OSError):
        if file.is_file():
            file.unlink()


def _side_by_side(
    work: Callable[[_Given], _Done], given: Sequence[_Given], stop: threading.Event
) -> list[_Done]:
    """What comes of each, all at once. Where one fails, or the user interrupts, the others stop.

    stop: tells them to; they raise Stopped then.
    """

    def one(part: _Given) -> _Done:
        try:
            return work(part)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(len(given)) as pool:
        futures = [pool.submit(one, part) for part in given]
        try:
            failed = [error for future in futures if (error := future.exception())]
        except BaseException:
            stop.set()
            raise
    if failed:
        raise next((e for e in failed if not isinstance(e, Stopped)), failed[0])
    return [future.result() for future in futures]


def compared_sides(
    sides: Sequence[Recording],
    names: Sequence[str],
    seed: int | None,
    taken: Sequence[Waiver],
    watcher: Watcher,
) -> Result:
    """The result of a gate, but for the smallest cases. taken: what the team waives."""
    held = judgement(sides, names, watcher)
    heads = sides[0].head, sides[1].head
    installed = {b: [head.packages[b] for head in heads] for b in heads[0].packages}
    judged = [waiver for waiver in taken if waiver.backend in installed]  # the others may be needed
    changes, used = waivers.applied(compared(held.pairs, installed), judged, date.today())
    if held.whole and not (any(change.worse for change in changes) or _some_judged(held.pairs)):
        raise GateError(
            f"none of {len(held.pairs):,} cases could be judged on both sides: "
            "it is undecided whether the candidate is worse"
        )
    by_name = {pair[0].entry.name: pair for pair in held.pairs}
    return Result(
        baseline=heads[0],
        candidate=heads[1],
        seed=seed,
        counts=counted(held.pairs),
        matrix=tuple(matrix(held.pairs)),
        changes=tuple(replace(c, shown=shown(c, by_name, heads)) for c in changes),
        points=(*documented_otherwise(installed), *changed_points(changes)),
        drift=tuple(held.drifts.rows),
        errors=tuple(held.errors.rows),
        offers=tuple(offers(held.pairs)),
        waivers=tuple(used),
        interrupted="" if held.whole else "judging",
        ran=None if held.whole else Ran(*[len(side.records) for side in (sides[0], *sides)]),
    )


def _some_judged(pairs: Sequence[tuple[Judged, Judged]]) -> bool:
    """Whether some case says anything of both sides."""
    return any(min(before.end, after.end) > UNJUDGED for before, after in pairs)


def _recorded_before(baseline: Path, settings: Settings, watcher: Watcher) -> Recording:
    """The recording of an earlier day, which brings its own cases."""
    for option, given in (("--corpus", settings.corpus), ("--mode", settings.modes)):
        if given:
            watcher.say(f"{option} is of no effect: the cases are those of {baseline}")
    return recording.read(baseline)


def decided(
    baseline: Side | Path,
    candidate: Side,
    settings: Settings,
    report: Path,
    watcher: Watcher,
) -> Result:
    """The result of a gate; writes recordings and findings below `report`. Raises GateError.

    The findings of an earlier gate go before any of this one is written.

    Raises Interrupted with what is known where the user interrupts it.
    baseline: what to make an environment of, or a file that was recorded earlier.
    """
    mine = report / "candidate.recording"
    part: Part = "making environments"
    heads = _asked(baseline, candidate)
    try:
        if isinstance(baseline, Path):
            old = _recorded_before(baseline, settings, watcher)
            heads[0] = old.head
            found = environments_of([candidate], settings, watcher)
            heads[1:] = map(recording.asked, found)
            packages = [*map(environments.packages, found)]
            if old.is_of(found[0]):
                raise _same(found)
            backends = common(found, settings.backends or tuple(old.head.packages), packages)
            old, entries = _of(old, backends)
            files, names = [mine], [str(baseline), str(mine)]
        else:
            cases = saved(settings)
            found = environments_of([baseline, candidate], settings, watcher)
            heads = [*map(recording.asked, found)]
            packages = [*map(environments.packages, found)]
            backends = common(found, settings.backends, packages)
            entries = corpus_of(cases, backends, settings, watcher, packages)
            files = [report / "baseline.recording", mine]
            names = [str(file) for file in files]
        part = "running"
        cleared(report)
        recorded, places = recordings_of(found, backends, entries, files, settings, watcher)
    except _Cut as cut:
        old_head, new_head = [*heads, *cut.heads][-2:]
        ran = [len(entries), *cut.ran][-2:]  # a baseline from a file has run all of it
        raise Interrupted(unjudged(old_head, new_head, part, Ran(len(entries), *ran))) from None
    except KeyboardInterrupt:
        cleared(report)
        old_head, new_head = heads
        raise Interrupted(unjudged(old_head, new_head, part)) from None
    sides = [old, *recorded] if isinstance(baseline, Path) else recorded
    before = None if isinstance(baseline, Path) else places[0]
    try:
        seed = None if isinstance(baseline, Path) or settings.corpus else settings.seed
        result = compared_sides(sides, names, seed, settings.waivers, watcher)
        if result.interrupted:
            raise Interrupted(result)
        return _with_folders(result, entries, before, places[-1], settings, report, watcher)
    finally:
        for place in places:
            place.close()


def _asked(baseline: Side | Path, candidate: Side) -> list[Head]:
    """The sides where not even the versions are known."""
    asked = str(baseline) if isinstance(baseline, Path) else baseline.text
    return [Head(text, "", {}, (), "") for text in (asked, candidate.text)]


def _of(old: Recording, backends: Sequence[str]) -> tuple[Recording, list[Entry]]:
    """The part of a recording that is of these backends; raises GateError where it says nothing."""
    for backend in backends:
        if backend not in old.head.packages:
            raise GateError(f"--baseline: {backend} was not recorded of {old.head.asked}")
    records = tuple(record for record in old.records if record.entry.backend in backends)
    if not records:
        raise GateError(f"--baseline {old.head.asked}: no case of {' or '.join(backends)} in it")
    recording.check_deaths(old.head, records, len(records))
    packages = {backend: old.head.packages[backend] for backend in backends}
    kept = replace(old, head=replace(old.head, packages=packages), records=records)
    return kept, [record.entry for record in records]


def _with_folders(
    result: Result,
    entries: Sequence[Entry],
    baseline: Apart | None,
    candidate: Apart,
    settings: Settings,
    report: Path,
    watcher: Watcher,
) -> Result:
    """The result with the smallest case of each change for the worse written down."""
    by_name = {entry.name: entry for entry in entries}
    smallest: dict[int, Change] = {}
    interrupted = False
    try:
        with watcher.counting("reducing", len(result.worse)) as tell:
            for number, change in enumerate(result.changes):
                if change.worse:
                    smallest[number] = reducing.written(
                        change, by_name, baseline, candidate, settings.reduce_seconds, report
                    )
                    tell()
    except KeyboardInterrupt:
        interrupted = True
    changes = tuple(smallest.get(n, change) for n, change in enumerate(result.changes))
    result = replace(result, changes=changes)
    if interrupted:
        raise Interrupted(replace(result, interrupted="reducing"))
    return result
