"""The commands `gate`, `report`, `record` and `bisect`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invariants.gate.errors import GateError

if TYPE_CHECKING:
    from rich.console import Console

    from invariants.gate.environments import Side
    from invariants.gate.result import Result
    from invariants.gate.running import Settings

#: Where a gate writes unless --report names a folder.
DEFAULT_REPORT = Path("invariants-gate")


class Spread(click.Command):
    """A command some of whose options take all that stands behind them, up to the next option."""

    spread: tuple[str, ...] = ("--baseline", "--candidate", "--with")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--baseline A B` is read as `--baseline A --baseline B`."""
        repeated: list[str] = []
        option = ""
        for arg, following in zip(args, [*args[1:], "-"], strict=True):
            if not arg.startswith("-"):
                repeated += [option, arg] if option else [arg]
                continue
            option = arg if arg in self.spread else ""
            if option and following.startswith("-"):
                raise click.BadOptionUsage(option, f"Option {option!r} requires an argument.")
            repeated += [] if option else [arg]
        return super().parse_args(ctx, repeated)


class Progress:
    """Says how far a gate is: a bar on a terminal, a line at the end of each part elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        from rich import progress

        started = time.monotonic()
        bar = progress.Progress(
            what,
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal or not total,
        )
        with bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)
        if total:
            self.say(f"{what}: {total:,} ({time.monotonic() - started:.1f} s)")


def _watcher() -> Progress:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 110
    return Progress(Console(file=sys.stdout, width=width, soft_wrap=True))


#: name of a parameter of `Settings` -> its option, for the commands that have it.
_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "backends": click.option(
        "--backend",
        "backends",
        multiple=True,
        metavar="NAME",
        help="torch or tensorflow; repeatable. By default all that both have.",
    ),
    "cases": click.option(
        "--cases", type=click.IntRange(1), default=400, metavar="N", help="For each backend: 400."
    ),
    "seed": click.option(
        "--seed", type=click.IntRange(0), default=0, metavar="N", help="Draw the cases of it: 0."
    ),
    "modes": click.option(
        "--mode", "modes", multiple=True, metavar="NAME", help="In this mode alone; repeatable."
    ),
    "corpus": click.option(
        "--corpus",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Run the saved cases in this folder instead.",
    ),
    "case_limit": click.option(
        "--case-limit",
        type=click.FloatRange(0, min_open=True),
        default=60.0,
        metavar="SECONDS",
        help="What a case may take: 60.",
    ),
    "python": click.option(
        "--python", default="", metavar="PATH", help="Make environments with this Python."
    ),
    "cache": click.option(
        "--environments",
        "cache",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Keep environments there.",
    ),
    "resume": click.option(
        "--resume", is_flag=True, help="Go on where an earlier run of the same was ended."
    ),
    "known_issues": click.option(
        "--known-issues",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Waivers of your own: what is new and named there, with a reason and a date, passes.",
    ),
    "reduce_seconds": click.option(
        "--reduce-seconds",
        type=click.FloatRange(0),
        default=60.0,
        metavar="SECONDS",
        help="For each new finding: 60.",
    ),
}


def _settings(*names: str) -> Callable[[Any], Any]:
    """The options of these names, in this order."""

    def add(command: Any) -> Any:
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return add


def read_ledger() -> None:
    """Reads the ledger before anything runs, so that what is wrong with it is told at once."""
    from invariants.ledger import LedgerError, known_issues

    try:
        known_issues()
    except LedgerError as error:
        raise GateError(str(error)) from None


def _checked(known_issues: Path | None = None, **given: Any) -> Settings:
    from invariants.backends import BACKENDS
    from invariants.gate import waivers
    from invariants.gate.running import Settings
    from invariants.oracle.contract import CONTRACTS

    taken = waivers.read(known_issues) if known_issues else ()
    settings = Settings(**given, waivers=taken)
    for name in settings.backends:
        if name not in BACKENDS:
            raise GateError(f"unknown backend {name!r}: choose from {', '.join(BACKENDS)}")
    offered = [mode for contract in CONTRACTS.values() for mode in contract.mode_names]
    for mode in settings.modes:
        if mode not in offered:
            raise GateError(f"unknown mode {mode!r}: choose from {', '.join(offered)}")
    return settings


def _not_over(baseline: Side | Path, report: Path) -> None:
    """Raises GateError where a gate would write its own recording over that of the baseline."""
    own = report / "candidate.recording"
    if isinstance(baseline, Path) and own.exists() and own.samefile(baseline):
        raise GateError(
            f"--baseline {baseline} is where the gate writes: name another folder with --report"
        )


def _writable(report: Path) -> None:
    """Raises GateError where the findings of a gate cannot be written below `report`."""
    from invariants.gate.folder import checked
    from invariants.suite.session import OptionError, writable

    try:
        writable(report)
    except OptionError as error:
        raise GateError(str(error)) from None
    checked(report)


@click.command(cls=Spread)
@click.option(
    "--baseline",
    multiple=True,
    required=True,
    metavar="REQ [REQ...]",
    help="Requirements such as keras==3.12.0, current, the path of a Python, or a recording.",
)
@click.option(
    "--candidate",
    multiple=True,
    required=True,
    metavar="REQ [REQ...]",
    help="The same, but for a recording.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=DEFAULT_REPORT,
    metavar="DIR",
    help=f"Write the result, recordings and findings here: {DEFAULT_REPORT}.",
)
@_settings(*_OPTIONS)
def gate(
    baseline: tuple[str, ...],
    candidate: tuple[str, ...],
    report: Path,
    **options: Any,
) -> None:
    """Compare two environments: 0 the candidate is no worse, 1 it is, 2 it cannot be told."""
    from invariants.gate import environments, recording

    read_ledger()
    settings, watcher = _checked(**options), _watcher()
    old = Path(baseline[0])
    is_file = len(baseline) == 1 and old.is_file() and recording.is_recording(old)
    if len(baseline) == 1 and not is_file and environments.is_document(baseline[0]):
        raise GateError(f"--baseline: {old} is no recording as invariants record writes them")
    before = old if is_file else environments.side("baseline", baseline)
    after = environments.side("candidate", candidate)
    _not_over(before, report)
    _writable(report)
    with terminated_as_interrupted():
        result = _gated(before, after, settings, report, watcher)
    sys.exit({"worse": 1, "no worse": 0}.get(result.verdict, 2))


def _gated(
    before: Side | Path, after: Side, settings: Settings, report: Path, watcher: Progress
) -> Result:
    """The result of a gate, which is written and said, also where the user interrupts it."""
    from invariants.gate.folder import unsaid
    from invariants.gate.running import Interrupted, decided

    started = time.monotonic()
    unsaid(report)
    try:
        result = decided(before, after, settings, report, watcher)
    except Interrupted as error:
        _told(error.result, started, report, watcher)
        watcher.say("the same command with --resume goes on behind what has run")
        raise
    return _told(result, started, report, watcher)


def _told(result: Result, started: float, report: Path, watcher: Progress) -> Result:
    """Writes the result and all reports of it, and says it. Raises GateError."""
    from invariants.gate.result_file import text
    from invariants.gate.writing import written
    from invariants.report import formats, github
    from invariants.report.gate import closing, versions

    result = replace(result, seconds=round(time.monotonic() - started, 1))
    try:
        report.mkdir(parents=True, exist_ok=True)
        written({report / "result.json": text(result), **formats.files(result, report)})
    except OSError as error:
        raise GateError(f"cannot write to {report}: {error.strerror or error}") from None
    for name, head in (("baseline", result.baseline), ("candidate", result.candidate)):
        watcher.say(f"{name} ({head.asked}): {versions(head)}")
    for part in closing(result, report):
        watcher.console.print(part, highlight=False)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(github.text(result, report), end="")  # a line that is wrapped is none
    return result


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Takes SIGTERM, which is how CI ends a job, for the interrupt key."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command(name="report")
@click.argument("result", metavar="RESULT", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "name",
    default="terminal",
    metavar="NAME",
    help="terminal (default), markdown, junit, sarif, html or annotations.",
)
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it there instead of printing it.",
)
def show_report(result: Path, name: str, output: Path | None) -> None:
    """Make a report of the result.json of a gate, or of the folder that it is in."""
    from invariants.gate.result_file import read
    from invariants.report import formats

    read_ledger()
    if name not in formats.FORMATS:
        raise GateError(f"unknown format {name!r}: choose from {', '.join(formats.FORMATS)}")
    held = read(result)
    text = formats.render(name, held, result if result.is_dir() else result.parent)
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise GateError(f"cannot write to {output}: {error.strerror or error}") from None


@click.command()
@click.argument("requirements", nargs=-1, metavar="[REQ]...")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Write the recording there.",
)
@_settings("backends", "cases", "seed", "modes", "corpus", "case_limit", "python", "cache")
def record(requirements: tuple[str, ...], output: Path, **options: Any) -> None:
    """Record what an environment does, for `gate --baseline FILE`: of this one by default."""
    from invariants.gate import environments
    from invariants.gate.running import recorded

    read_ledger()
    settings, watcher = _checked(**options), _watcher()
    side = environments.side("baseline", requirements or ("current",))
    with terminated_as_interrupted():
        written = recorded(side, settings, output, watcher)
    watcher.say(f"{len(written.records):,} cases recorded in {output}")


@click.command()
@click.argument("package")
@click.option("--good", required=True, metavar="V", help="A release that does not show it.")
@click.option("--bad", required=True, metavar="V", help="A later or earlier one that does.")
@click.option(
    "--with", "others", multiple=True, metavar="REQ", help="Packages beside it; repeatable."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=DEFAULT_REPORT,
    metavar="DIR",
    help=f"Write the gate of the two here: {DEFAULT_REPORT}.",
)
@_settings(*_OPTIONS)
def bisect(
    package: str, good: str, bad: str, others: tuple[str, ...], report: Path, **options: Any
) -> None:
    """Find the first release that violates: 0 none does, 1 it is told, 2 it cannot be told."""
    from packaging.version import Version

    from invariants.gate.bisecting import bisected, is_version
    from invariants.report.gate import named

    read_ledger()
    settings, watcher = _checked(**options), _watcher()
    _writable(report)
    for release in (good, bad):
        if not is_version(release):
            raise GateError(f"{release!r} is no version")
    if good == bad:
        raise GateError("--good and --bad are the same release: there is nothing between them")

    def gated(before: Side, after: Side) -> Result:
        return _gated(before, after, settings, report, watcher)

    end, found = "first" if Version(good) < Version(bad) else "last", False
    with terminated_as_interrupted():
        for kind, edge in bisected(package, good, bad, others, settings, report, watcher, gated):
            found = True
            watcher.say(f"{edge.told(package, end)}: {named(kind)}")
    if not found:
        waived = ", but for what is waived" if settings.waivers else ""
        watcher.say(f"{package} {bad} shows nothing that {good} does not{waived}")
    sys.exit(1 if found else 0)
