"""The pytest plugin: the options of a run, its header, its progress, and its closing table.

It is loaded by every pytest run in an environment that has the package, so it imports nothing heavy
until tests of the shipped suite are collected, and keeps silent in all other runs.

Batches may run in other processes (pytest-xdist). What they count and find travels back in the
`user_properties` of their reports, as plain JSON.
"""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from invariants.suite.session import Options
    from invariants.suite.tally import Tally

RESULT = "invariants-result"
UNAVAILABLE = "invariants-unavailable"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("invariants", "frozen layers stay frozen and still backpropagate")

    def option(name: str, **settings: Any) -> None:
        try:
            group.addoption(f"--{name}", f"--invariants-{name}", **settings)
        except ValueError:  # another plugin has the short name
            group.addoption(f"--invariants-{name}", **settings)

    common: dict[str, Any] = {"default": None, "metavar": "NAME"}
    option(
        "backend", action="append", dest="invariants_backend", help="torch, tensorflow", **common
    )
    option("profile", dest="invariants_profile", help="quick (default), ci or soak", **common)
    option(
        "max-examples",
        dest="invariants_max_examples",
        type=int,
        default=None,
        metavar="N",
        help="cases for each backend, instead of the profile's",
    )
    option(
        "seed",
        dest="invariants_seed",
        type=int,
        default=None,
        metavar="N",
        help="draw the cases of this seed; a random one by default, named in the header",
    )
    option(
        "report", dest="invariants_report", default=None, metavar="DIR", help="write findings here"
    )
    option(
        "ignore-known-issues",
        dest="invariants_ignore_known_issues",
        action="store_true",
        help="call a violation what the ledger of known issues explains",
    )
    group.addoption(
        "--invariants-face", action="store_true", help="the output of invariants verify"
    )


def _options(config: pytest.Config) -> Options:
    """The checked options of this run, the same in every worker."""
    from invariants.suite.session import OptionError, Options

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
        )
    except OptionError as error:
        raise pytest.UsageError(str(error)) from None
    config._invariants_options = options  # type: ignore[attr-defined]
    return options


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "invariants: a test of the shipped suite")
    given = ("backend", "profile", "max_examples", "seed", "report")
    if any(getattr(config.option, f"invariants_{name}") is not None for name in given):
        _options(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config), "invariants-controller")


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


class Controller:
    """Collects what the batches report, in the one process that talks to the user."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.face: bool = config.option.invariants_face
        self.tallies: dict[str, Tally] = {}
        self.unavailable: list[str] = []
        self.errors: list[str] = []
        self.started = time.monotonic()
        self.progress: Progress | None = None
        self.task: Any = None
        self.active = self.face

    @property
    def console(self) -> Console:
        from rich.console import Console

        return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110, soft_wrap=True)

    def pytest_report_header(self, config: pytest.Config) -> list[str] | None:
        from invariants.report.terminal import header

        asked = any("invariants" in str(arg) for arg in config.args)
        if self.face or not (asked or config.option.invariants_backend):
            return None
        return header(_options(config))

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if self.face:
            from invariants.report.terminal import header

            workers = self.config.pluginmanager.getplugin("terminaldistreporter")
            if workers is not None:  # pytest-xdist's line about its nodes, which has no switch
                workers.write_line = workers.rewrite = lambda *args, **options: None
            for line in header(_options(self.config)):
                print(line, flush=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No letter a batch where this plugin shows its own progress."""
        if self.face and hasattr(report, "when"):
            return report.outcome, "", ""
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        from invariants.suite.tally import Tally

        if report.when != "call" and not report.failed:
            return  # the reports of setup and teardown repeat the properties
        properties: list[tuple[str, Any]] = list(report.user_properties)
        for name, value in properties:
            if name == RESULT:
                self.active = True
                tally = self.tallies.setdefault(value["backend"], Tally())
                tally.add(Tally.read(value["tally"]))
                self._advance()
                if self.face:
                    self._say(value["texts"])
            elif name == UNAVAILABLE and value not in self.unavailable:
                self.unavailable.append(value)
        reported = {name for name, _ in report.user_properties}
        if self.face and report.failed and not reported & {RESULT, UNAVAILABLE}:
            self.errors.append(f"{report.nodeid}: {report.longreprtext.strip()}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if self.face and report.failed:
            self.errors.append(f"{report.nodeid}: {report.longreprtext.strip()}")

    def _total(self) -> int:
        return sum(plan.examples for plan in _options(self.config).plans())

    def _advance(self) -> None:
        """Moves the progress bar, on a terminal."""
        if not self.face or not sys.stdout.isatty():
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
            self.task = self.progress.add_task("cases", total=self._total(), violations=0)
            self.progress.start()
        cases = sum(tally.cases for tally in self.tallies.values())
        violations = sum(sum(t.violations.values()) for t in self.tallies.values())
        self.progress.update(self.task, completed=cases, violations=violations)
        self.progress.refresh()

    def _say(self, texts: list[str]) -> None:
        console = self.progress.console if self.progress else self.console
        for text in texts:
            console.print(text, markup=False, highlight=False)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.face and self.tallies:
            self._close()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.progress is not None:
            self.progress.stop()
        if self.unavailable:
            session.exitstatus = 2
        if self.face:
            self._close()
            for line in (*self.errors, *(f"invariants: {line}" for line in self.unavailable)):
                print(line, file=sys.stderr)

    def _close(self) -> None:
        from invariants.report.terminal import closing, show

        order = [b for b in _options(self.config).backends if b in self.tallies]
        tallies = {backend: self.tallies[backend] for backend in order}
        if tallies:
            show(self.console, closing(tallies, time.monotonic() - self.started))
        self._write_summary(tallies)

    def _write_summary(self, tallies: dict[str, Tally]) -> None:
        import json

        options = _options(self.config)
        if options.report is None:
            return
        summary = {
            "profile": options.profile,
            "seed": options.seed,
            "seconds": round(time.monotonic() - self.started, 1),
            "backends": {backend: tally.document() for backend, tally in tallies.items()},
        }
        (options.report / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
