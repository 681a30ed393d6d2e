"""What verifying costs: against the same rendered scripts run bare, in one process.

    python -m benchmarks.cost [--rounds N] [--torch CASES] [--tensorflow CASES] [--mode NAME ...]

A bare run executes the very sources that the suite renders, with the loading of weights and
batches and nothing else: no generation, no recording, no oracle, no judging. Cases that a framework
compiles are left out, but for those of a mode that is asked for. The ratio is taken round by round,
the two side by side, now the one first, now the other, after a bare run that nobody times: what a
framework keeps of a first call (kernels found, shapes inferred) is there for both. Printed are
medians, and where the time of verifying goes.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.drawing import drawn
from invariants.backends import BACKENDS, native_arrays, observation, runner
from invariants.case import Case
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.properties import findings
from invariants.properties.evidence import Evidence


class Bare:
    """In place of a recorder: loads and feeds what a script needs, and writes nothing down."""

    def __init__(self, recorder: Any) -> None:
        recorder.snapshot = lambda number: None
        self.load, self.batch, self.finish = recorder.load, recorder.batch, recorder.finish
        self.follow = recorder.follow

    @contextlib.contextmanager
    def action(self, number: int) -> Iterator[None]:
        with contextlib.suppress(Exception):  # what the contract names, an empty backward pass
            yield

    def record(self, *anything: Any, **more: Any) -> None:
        """Records nothing."""

    note = trained = draws = failed = record


def run_bare(backend: str, source: str, arrays: dict[str, Any]) -> None:
    """Executes one rendered script alone."""
    runner.execute(source, Bare(runner.prepare(backend).Recorder(arrays)))


def eager(case: Case, backend: str) -> bool:
    """Whether a framework runs a case operation by operation."""
    mode = case.runs_in(backend)
    traced = mode.trains_itself and case.options(backend)["run_eagerly"] == "no"
    return not traced and "compile" not in mode.traits


def seconds(work: Callable[[], object]) -> float:
    """How long `work` keeps the processor busy: what else a machine does, does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def one_round(backend: str, count: int, seed: int, mode: str = "") -> dict[str, float]:
    """Seconds a case of each part of verifying, and of running bare.

    Of `count` cases those in a mode that is asked for, or else those that are eager.
    """
    every: list[Case] = []
    parts = {"drawing": seconds(lambda: every.extend(drawn(backend, count, seed, mode)))}
    held = [case for case in every if mode or eager(case, backend)]
    parts["drawing"] *= len(held) / len(every)
    rendered = [(BACKENDS[backend].render(c), native_arrays(c, backend)) for c in held]
    whole: dict[str, Callable[[], object]] = {
        "bare": lambda: [run_bare(backend, s, a) for s, a in rendered],
        "verifying": lambda: [judge(c, backend) for c in held],
    }
    whole["bare"]()
    for part in sorted(whole, reverse=seed % 2 == 0):
        parts[part] = seconds(whole[part])
    parts["verifying"] += parts["drawing"]

    recorded: list[Any] = []
    parts["running and recording"] = seconds(
        lambda: recorded.extend(
            runner.run(backend, BACKENDS[backend].render(c), native_arrays(c, backend))
            for c in held
        )
    )
    observed = [observation(c, backend, r) for c, r in zip(held, recorded, strict=True)]
    expected: list[Any] = []
    parts["oracle"] = seconds(
        lambda: expected.extend(
            expect(c, backend, draws=o.draws) for c, o in zip(held, observed, strict=True)
        )
    )
    parts["judging"] = seconds(
        lambda: [
            findings(Evidence(c, backend, o, e))
            for c, o, e in zip(held, observed, expected, strict=True)
        ]
    )
    return {part: taken / len(held) for part, taken in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", type=int, default=200, metavar="CASES")
    parser.add_argument("--tensorflow", type=int, default=40, metavar="CASES")
    named = [name for contract in CONTRACTS.values() for name in contract.mode_names]
    parser.add_argument("--mode", action="append", default=[], metavar="NAME", choices=named)
    arguments = parser.parse_args()
    for backend in ("torch", "tensorflow"):
        modes = [m for m in arguments.mode if m in CONTRACTS[backend].mode_names]
        for mode in modes if arguments.mode else [""]:
            told(backend, mode, getattr(arguments, backend), arguments.rounds)


def measure(backend: str, mode: str, count: int, rounds: int) -> dict[str, Any]:
    """What verifying costs: medians of so many rounds, of shares of bare and of milliseconds."""
    one_round(backend, min(count, 10), 0, mode)  # imports and first calls
    taken = [one_round(backend, count, 1 + n, mode) for n in range(rounds)]
    return {
        "backend": backend,
        "mode": mode or "quick ones",
        "cases a round": count,
        "rounds": [r["verifying"] / r["bare"] for r in taken],
        "shares": {p: statistics.median(r[p] / r["bare"] for r in taken) for p in taken[0]},
        "ms a case": {p: statistics.median(r[p] for r in taken) * 1e3 for p in taken[0]},
    }


def told(backend: str, mode: str, count: int, rounds: int) -> None:
    """Measures so many rounds and prints what they cost."""
    found = measure(backend, mode, count, rounds)
    print(
        f"{backend}{f', {mode}' if mode else ''}: verifying costs "
        f"{found['shares']['verifying']:.2f} times the bare scripts "
        f"(rounds {', '.join(f'{r:.2f}' for r in found['rounds'])}; {count} cases a round)"
    )
    for part, share in found["shares"].items():
        print(f"  {part:22s} {share:5.2f}   {found['ms a case'][part]:7.2f} ms a case")


if __name__ == "__main__":
    main()
