"""Judges both sides of a gate, in as many processes as there are processors.

A case is judged by itself, and what comes of it is added up in the order of the corpus: the result
is the same, whoever judged it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from invariants.gate.accuracy import Errors
from invariants.gate.drift import Drifts
from invariants.gate.errors import GateError
from invariants.gate.judging import Judged, judged, verdict
from invariants.gate.recording import Head, Record, Recording
from invariants.gate.watching import Watcher

#: So many cases are worth the start of a process.
_SHARE = 30


@dataclass
class Judgement:
    """The verdicts on both sides, and how far numbers are apart; whole: no case is missing."""

    pairs: list[tuple[Judged, Judged]] = field(default_factory=list)
    drifts: Drifts = field(default_factory=Drifts)
    errors: Errors = field(default_factory=Errors)
    whole: bool = False

    def add(self, other: Judgement) -> None:
        """Adds the judgement on further cases."""
        self.pairs += other.pairs
        self.drifts.add(other.drifts)
        self.errors.add(other.errors)


@dataclass(frozen=True)
class _Pair:
    """What both sides did with a case. names: of their files."""

    records: tuple[Record, Record]
    heads: tuple[Head, Head]
    names: tuple[str, str]

    def judgement(self) -> Judgement:
        (old, new), (before, after) = self.records, self.heads
        one, other = verdict(old, before, self.names[0]), verdict(new, after, self.names[1])
        held = Judgement([(judged(old, one), judged(new, other))])
        held.drifts.count(one, other)
        held.errors.count("baseline", one)
        held.errors.count("candidate", other)
        return held


def judgement(sides: Sequence[Recording], names: Sequence[str], watcher: Watcher) -> Judgement:
    """Judges both sides, up to where the user interrupts it; names: of the files."""
    before, after = sides
    heads, files = (before.head, after.head), (names[0], names[1])
    pairs = [
        _Pair(records, heads, files) for records in zip(before.records, after.records, strict=True)
    ]
    held = Judgement()
    try:
        with watcher.counting("judging", len(pairs)) as tell:
            for one in _judged(pairs):
                held.add(one)
                tell()
    except KeyboardInterrupt:
        return held
    held.whole = True
    return held


def _judged(pairs: Sequence[_Pair]) -> Iterator[Judgement]:
    """The judgement on each pair, in order. Raises GateError."""
    workers = min(os.cpu_count() or 1, len(pairs) // _SHARE)
    if workers < 2:
        yield from map(_Pair.judgement, pairs)
        return
    apart = multiprocessing.get_context("spawn")  # this process has threads
    with ProcessPoolExecutor(workers, apart, _uninterrupted) as pool:
        try:
            yield from pool.map(_Pair.judgement, pairs)
        except BrokenProcessPool:
            raise GateError(
                "a process that judged was ended, as a system does that runs out of memory; "
                "--resume judges what has run"
            ) from None
        except BaseException:  # the user has had enough, or a recording is damaged
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _uninterrupted() -> None:
    """An interrupt is for the process that tells the user."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
