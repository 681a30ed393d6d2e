"""The pytest plugin: the options of a run, its header, its progress, and its closing table.

It is loaded by every pytest run in an environment that has the package, so it imports nothing heavy
until tests of the shipped suite are collected, and keeps silent in all other runs.

Batches may run in other processes (pytest-xdist). What they count and find then travels back in the
`user_properties` of their reports; in one process it is told at once, so that an interruption loses
nothing.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from invariants.suite.session import Options
    from invariants.suite.tally import Tally

#: The name under which messages travel in `user_properties`.
MESSAGE = "invariants-message"

#: What a batch tells, as plain JSON: {"found": text, "backend", "property"} for each finding at
#: once, {"counted": tally, "backend"} at its end, {"unavailable": line} for a broken framework.
Message = dict[str, Any]

#: For how many seconds a run says nothing where it has no terminal to draw its progress on.
SILENCE = 30.0

#: How the failure of a batch begins, whose story has been told by its messages.
BATCH_FAILED = "not verified: "


#: name -> how argparse reads it. Each has a long name, --invariants-NAME, and the short one in runs
#: of the shipped suite alone: other projects have a --backend and a --seed of their own.
OPTIONS: dict[str, dict[str, Any]] = {
    "backend": {"action": "append", "metavar": "NAME", "help": "torch, tensorflow; repeatable"},
    "profile": {"metavar": "NAME", "help": "quick (default), ci or soak"},
    "mode": {
        "action": "append",
        "metavar": "NAME",
        "help": "verify this mode alone (eager, compiled, fit, ...); repeatable",
    },
    "device": {"metavar": "NAME", "help": "run on cpu (default), cuda or mps"},
    "max-examples": {
        "type": int,
        "metavar": "N",
        "help": "cases for each backend, instead of the profile's",
    },
    "seed": {
        "type": int,
        "metavar": "N",
        "help": "draw the cases of this seed; a random one by default, named in the header",
    },
    "report": {"metavar": "DIR", "help": "write findings and plots of the coverage here"},
    "coverage": {
        "action": "store_true",
        "help": "print where each kind of layer was met, each option, and why some are lacking",
    },
    "isolate": {
        "action": "store_true",
        "help": "run the cases in a worker process: a crash or a hang is a finding",
    },
    "case-limit": {
        "type": float,
        "metavar": "SECONDS",
        "help": "what a case may take in a worker (60 by default); implies --isolate",
    },
    "ignore-known-issues": {
        "action": "store_true",
        "help": "call a violation what the ledger of known issues explains",
    },
}

_TITLE = "frozen layers stay frozen and still backpropagate"


def _add(parser: pytest.Parser, prefix: str) -> None:
    group = parser.getgroup("invariants", _TITLE)
    for name, settings in OPTIONS.items():
        dest = "invariants_" + name.replace("-", "_")
        default: Any = False if settings.get("action") == "store_true" else None
        group.addoption(f"--{prefix}{name}", dest=dest, default=default, **settings)


def pytest_addoption(parser: pytest.Parser) -> None:
    _add(parser, "invariants-")
    parser.getgroup("invariants").addoption(
        "--invariants-face", action="store_true", help="the output of invariants verify"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Adds the short names where the run is one of the shipped suite, or of its own checkout."""
    named = any("invariants" in argument for argument in args if not argument.startswith("-"))
    if named or (early_config.rootpath / "invariants" / "suite" / "plugin.py").is_file():
        _add(parser, "")


def _options(config: pytest.Config) -> Options:
    """The checked options of this run, the same in every worker."""
    from invariants.suite.session import OptionError, Options, case_limit_of

    held: Options | None = getattr(config, "_invariants_options", None)
    if held is not None:
        return held
    seed = config.option.invariants_seed
    if seed is None:
        worker: dict[str, Any] = getattr(config, "workerinput", {})
        seed = worker.get("invariants_seed", random.SystemRandom().randrange(2**16))
    try:
        options = Options.checked(
            config.option.invariants_backend or [],
            config.option.invariants_profile or "quick",
            config.option.invariants_max_examples,
            seed,
            config.option.invariants_report,
            config.option.invariants_ignore_known_issues,
            config.option.invariants_mode or [],
            case_limit_of(config.option.invariants_isolate, config.option.invariants_case_limit),
            config.option.invariants_device or "cpu",
        )
    except OptionError as error:
        raise pytest.UsageError(str(error)) from None
    config._invariants_options = options  # type: ignore[attr-defined]
    return options


@pytest.hookimpl(trylast=True)  # behind the plugins that bring a reporter
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "invariants: a test of the shipped suite")
    given = ("backend", "mode", "device", "profile", "max_examples", "seed", "report")
    if any(getattr(config.option, f"invariants_{name}") is not None for name in given):
        _options(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config), "invariants-controller")
    if config.option.invariants_face:
        _silence(config)


def _silence(config: pytest.Config) -> None:
    """Takes away pytest's own reporter and that of pytest-xdist, for `invariants verify`."""
    for name in ("terminalreporter", "terminaldistreporter"):
        reporter = config.pluginmanager.getplugin(name)
        if reporter is not None:
            reporter.write_line = reporter.rewrite = lambda *args, **options: None
            config.pluginmanager.unregister(reporter)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Every pytest-xdist worker draws from the seed of the controller."""
    node.workerinput["invariants_seed"] = _options(node.config).seed


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("invariants")
    if marked is not None and "plan" in metafunc.fixturenames:
        plans = _options(metafunc.config).plans()
        numbers: dict[str, int] = {}
        ids = []
        for plan in plans:
            numbers[plan.backend] = numbers.get(plan.backend, 0) + 1
            ids.append(f"{plan.backend}-{numbers[plan.backend]}")
        metafunc.parametrize("plan", plans, ids=ids)


@pytest.fixture
def invariants_options(request: pytest.FixtureRequest) -> Options:
    """The options of this run."""
    return _options(request.config)


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[Message], None]:
    """Takes a message of a batch to the one process that talks to the user."""
    controller = request.config.pluginmanager.getplugin("invariants-controller")
    if controller is not None:
        return cast("Callable[[Message], None]", controller.receive)
    return lambda message: record_property(MESSAGE, message)


class Controller:
    """Collects what the batches report, in the one process that talks to the user."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.face: bool = config.option.invariants_face
        self.tallies: dict[str, Tally] = {}
        self.unavailable: list[str] = []
        self.errors: list[str] = []
        self.started = self.told = time.monotonic()
        self.progress: Progress | None = None
        self.task: Any = None
        self.interrupted = False
        self.said: set[tuple[str, str]] = set()

    @property
    def console(self) -> Console:
        from rich.console import Console

        return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110, soft_wrap=True)

    def pytest_report_header(self, config: pytest.Config) -> list[str] | None:
        from invariants.report.terminal import header

        asked = any("invariants" in str(arg) for arg in config.args)
        if self.face or not (asked or config.option.invariants_backend):
            return None
        reporter = config.pluginmanager.getplugin("terminalreporter")
        asks = reporter is not None and not config.option.collectonly
        tell = reporter.write_line if asks else None
        return header(_options(config), tell, reasons=config.option.invariants_coverage)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if self.face:
            from invariants.report.terminal import hanging, header

            said, width = partial(print, flush=True), shutil.get_terminal_size().columns
            reasons = self.config.option.invariants_coverage
            for line in header(_options(self.config), said, reasons=reasons):
                said(hanging(line, width) if sys.stdout.isatty() else line)

    def receive(self, message: Message) -> None:
        """One message of a batch, which may come while pytest captures what its test prints."""
        capture = self.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            self._take(message)

    def _take(self, message: Message) -> None:
        from invariants.suite.tally import Tally

        if "unavailable" in message:
            if message["unavailable"] not in self.unavailable:
                self.unavailable.append(message["unavailable"])
        elif "found" in message:
            key = (message["backend"], message["property"])
            if self.face and key not in self.said:  # every worker reduces a case of its own
                self._say(message["found"])
            self.said.add(key)
        else:
            tally = self.tallies.setdefault(message["backend"], Tally())
            tally.add(Tally.read(message["counted"]))
            self._advance()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not report.failed:
            return  # the reports of setup and teardown repeat the properties
        properties: list[tuple[str, Any]] = list(report.user_properties)
        for name, value in properties:
            if name == MESSAGE:
                self.receive(value)
        if self.face and report.failed and BATCH_FAILED not in report.longreprtext:
            self.errors.append(f"{report.nodeid}: {report.longreprtext.strip()}")

    def pytest_keyboard_interrupt(self) -> None:
        self.interrupted = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if self.face and report.failed:
            self.errors.append(f"{report.nodeid}: {report.longreprtext.strip()}")

    @cached_property
    def _planned(self) -> int:
        return sum(plan.examples for plan in _options(self.config).plans())

    def _total(self) -> int:
        """How many cases the run has, without those that batches no longer need."""
        return self._planned - sum(tally.spared for tally in self.tallies.values())

    def _advance(self) -> None:
        """Moves the progress bar on a terminal; elsewhere says how far the run is, now and then."""
        if not self.face:
            return
        cases = sum(tally.cases for tally in self.tallies.values())
        total = self._total()
        violations = sum(t.violated for t in self.tallies.values())
        if not sys.stdout.isatty():
            now = time.monotonic()
            if now - self.told >= SILENCE:
                said = f"{cases:,} of {total:,} cases, {violations:,} violations"
                print(f"{said}, {now - self.started:.0f} s", flush=True)
                self.told = now
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        if self.progress is None:
            self.progress = Progress(
                "verifying",
                BarColumn(),
                MofNCompleteColumn(),
                "cases,",
                "{task.fields[violations]} violations,",
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
                auto_refresh=False,
            )
            self.task = self.progress.add_task("cases", total=total, violations=0)
            self.progress.start()
        self.progress.update(self.task, completed=cases, total=total, violations=violations)
        self.progress.refresh()

    def _say(self, text: str) -> None:
        console = self.progress.console if self.progress else self.console
        console.print(text, markup=False, highlight=False)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.face and self.tallies:
            self._close()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.progress is not None:
            self.progress.stop()
        if self.unavailable or (self.errors and not self._violated):
            session.exitstatus = 2
        if self.face:
            self._close()
            for line in (*self.errors, *(f"invariants: {line}" for line in self.unavailable)):
                print(line, file=sys.stderr)

    def _close(self) -> None:
        from invariants.report.terminal import closing, coverage, show

        order = [b for b in _options(self.config).backends if b in self.tallies]
        tallies = {backend: self.tallies[backend] for backend in order}
        total = self._total()
        judged = sum(tally.cases for tally in tallies.values())
        short = [line.split(" ", 1)[0] + " cannot be used" for line in self.unavailable]
        if self.interrupted:
            short.append(f"interrupted after {judged:,} of {total:,} cases")
        if tallies and self.config.option.invariants_coverage:
            show(self.console, coverage(tallies))
        if tallies or self.interrupted:
            show(self.console, closing(tallies, time.monotonic() - self.started, short))
        self._write_summary(tallies)

    @property
    def _violated(self) -> bool:
        return any(tally.violations for tally in self.tallies.values())

    def _write_summary(self, tallies: dict[str, Tally]) -> None:
        import json

        from invariants.report.coverage import plot

        options = _options(self.config)
        if options.report is None:
            return
        summary = {
            "profile": options.profile,
            "device": options.device,
            "seed": options.seed,
            "interrupted": self.interrupted,
            "unavailable": self.unavailable,
            "seconds": round(time.monotonic() - self.started, 1),
            "backends": {backend: tally.document() for backend, tally in tallies.items()},
        }
        (options.report / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
        for backend, tally in tallies.items():
            drawn = plot(backend, tally)
            (options.report / f"coverage-{backend}.svg").write_text(drawn, "utf-8")
