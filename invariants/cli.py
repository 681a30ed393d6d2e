"""The command `invariants`. Every error is one line on standard error and exit code 2.

What nobody foresaw has its traceback before that line, and the same exit code: 1 says that
something was found.
"""

from __future__ import annotations

import difflib
import sys
import traceback
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invariants.backends.runner import BackendUnavailable
from invariants.case import Case, CaseError, read_offered
from invariants.gate import command
from invariants.gate.errors import GateError

if TYPE_CHECKING:
    from invariants.faults.trial import Trial

backends = click.option(
    "--backend", "backends", multiple=True, metavar="NAME", help="torch or tensorflow; repeatable."
)
ignoring = click.option(
    "--ignore-known-issues", is_flag=True, help="Count known issues as violations."
)
case_limit = click.option(
    "--case-limit",
    type=float,
    metavar="SECONDS",
    help="What a case may take in a worker: 60; implies --isolate.",
)
on_device = click.option("--device", metavar="NAME", help="Run on cpu (default), cuda or mps.")
case_file = click.argument("file", metavar="CASE.JSON", type=click.Path(path_type=Path))


#: What is said of an exception that nobody foresaw.
_BUG = "this is a bug of invariants, please report it with the lines above"


class CannotRun(Exception):
    """Something that keeps a command from running, in one line."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name="freeze-invariants", prog_name="invariants")
def app() -> None:
    """Verifies that frozen layers stay frozen and still backpropagate."""


@app.command()
@backends
@click.option("--profile", default="quick", metavar="NAME", help="quick (default), ci or soak.")
@click.option(
    "--mode", "modes", multiple=True, metavar="NAME", help="Verify this mode alone; repeatable."
)
@on_device
@click.option("--max-examples", type=int, metavar="N", help="Cases for each backend.")
@click.option("--seed", type=int, metavar="N", help="Draw the cases of this seed.")
@click.option(
    "-n", "workers", type=int, default=1, metavar="WORKERS", help="Processes that share the work."
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="DIR", help="Write findings here."
)
@click.option(
    "--coverage",
    is_flag=True,
    help="Print which layers and options were met, and why some are lacking.",
)
@click.option(
    "--isolate", is_flag=True, help="Run cases in a worker process; a crash or hang is a finding."
)
@case_limit
@ignoring
def verify(
    backends: tuple[str, ...],
    profile: str,
    modes: tuple[str, ...],
    device: str | None,
    max_examples: int | None,
    seed: int | None,
    workers: int,
    report: Path | None,
    coverage: bool,
    isolate: bool,
    case_limit: float | None,
    ignore_known_issues: bool,
) -> None:
    """Verify the installed frameworks: 0 no violation, 1 a violation, 2 it could not run."""
    import pytest

    from invariants.suite.session import OptionError, Options, case_limit_of

    command.read_ledger()
    try:
        Options.checked(
            list(backends),
            profile,
            max_examples,
            seed or 0,
            str(report) if report else None,
            ignore_known_issues,
            modes,
            case_limit_of(isolate, case_limit),
            device or "cpu",
        )
    except OptionError as error:
        raise CannotRun(str(error)) from None
    if workers < 1:
        raise CannotRun(f"-n must be at least 1, not {workers}")
    suite = Path(__file__).parent / "suite"
    arguments = ["-c", str(suite / "pytest.ini"), "--rootdir", str(suite)]
    arguments += ["--tb=short", "-p", "no:cacheprovider"]
    arguments += ["--invariants-face", "--invariants-profile", profile]
    for name in backends:
        arguments += ["--invariants-backend", name]
    for name in modes:
        arguments += ["--invariants-mode", name]
    if device is not None:
        arguments += ["--invariants-device", device]
    if max_examples is not None:
        arguments += ["--invariants-max-examples", str(max_examples)]
    if seed is not None:
        arguments += ["--invariants-seed", str(seed)]
    if report is not None:
        arguments += ["--invariants-report", str(report)]
    if coverage:
        arguments.append("--invariants-coverage")
    if isolate:
        arguments.append("--invariants-isolate")
    if case_limit is not None:
        arguments += ["--invariants-case-limit", str(case_limit)]
    if ignore_known_issues:
        arguments.append("--invariants-ignore-known-issues")
    if workers > 1:
        arguments += ["-n", str(workers)]
    code = int(pytest.main([*arguments, str(suite)]))
    sys.exit(code if code in (0, 1) else 2)


def _backends_of(realised: Collection[str], chosen: tuple[str, ...]) -> list[str]:
    """Those to run a case on that is `realised` on some: the chosen ones, or all that are there."""
    from invariants.backends import BACKENDS, installed

    for name in chosen:
        if name not in BACKENDS:
            raise CannotRun(f"unknown backend {name!r}: choose from {', '.join(BACKENDS)}")
        if name not in realised:
            raise CannotRun(f"the case has no realisation for {name}")
    names = list(chosen) or [name for name in realised if installed(name)]
    if not names:
        wanted = " or ".join(realised)
        raise CannotRun(f"the case runs on {wanted}, which is not installed")
    return names


def _placed(case: Case, name: str, device: str | None) -> Case:
    """The case as one backend runs it, on another device where one is asked for."""
    alone = replace(case, realisations={name: case.realisations[name]})
    return case if device is None else alone.on(device).check()


@app.command()
@case_file
@backends
@on_device
@ignoring
def replay(
    file: Path, backends: tuple[str, ...], device: str | None, ignore_known_issues: bool
) -> None:
    """Run a saved case again and judge it: 0 all holds, 1 a violation, 2 nothing could run it."""
    from invariants.backends import versions
    from invariants.backends.needs import missing_modes
    from invariants.backends.probing import absent
    from invariants.judge import judge
    from invariants.observation import NOT_OFFERED
    from invariants.report.findings import text

    command.read_ledger()
    read, lacks = read_offered(file)
    names = _backends_of({**read.realisations, **lacks}, backends)
    violated, idle = False, {*lacks}
    for name in names:
        if name in lacks:
            has = ", ".join(" ".join(package) for package in versions(name).items())
            print(f"unsupported: {name} ({has}): {lacks[name]}\n")
            print(f"{name}: not run, 1 not offered")
            continue
        case = _placed(read, name, device)
        mode, place = case.realisations[name].mode, case.realisations[name].device
        if mode in missing_modes(name):
            raise CannotRun(f"{name}: the mode {mode!r} cannot run: {missing_modes(name)[mode]}")
        try:
            if reason := absent(name, place):
                raise CannotRun(f"there is no device {place!r} for {name} here: {reason}")
            verdict = judge(case, name, repeat=True, ignore_known_issues=ignore_known_issues)
        except BackendUnavailable as error:
            raise CannotRun(str(error)) from None
        errors = verdict.evidence.observation.errors.values()
        if any(error.kind == NOT_OFFERED for error in errors):
            idle.add(name)
        for finding in verdict.findings:
            print(text(case, finding) + "\n")
        measures = verdict.measures
        told = Counter(finding.severity for finding in verdict.findings)
        lacking = f", {told['unsupported']} not offered" if told["unsupported"] else ""
        print(
            f"{name}: {told['violation']} violations, "
            f"{told['known issue'] + told['hazard']} known{lacking}; "
            f"{measures.gradients} gradients, {measures.elements} elements, "
            f"largest error {measures.largest:.3g} σ, {measures.uninformative} uninformative"
        )
        if measures.elements and measures.uninformative == measures.elements:
            print(f"{name}: no element could be judged; rounding alone decides all of them")
        violated = violated or bool(verdict.violations)
    if idle >= {*names}:
        raise CannotRun(f"nothing has run: {' and '.join(names)} cannot express the case")
    sys.exit(1 if violated else 0)


@app.command()
@case_file
@click.option(
    "--svg", type=click.Path(path_type=Path), metavar="FILE", help="Draw the architecture there."
)
@click.option("--backend", metavar="NAME", help="Print the script of this backend.")
@on_device
def show(file: Path, svg: Path | None, backend: str | None, device: str | None) -> None:
    """Draw a saved case: its program and its architecture, frozen layers marked."""
    from invariants.backends import BACKENDS
    from invariants.report import picture
    from invariants.report.svg import draw

    case, lacks = read_offered(file)
    name = backend or next(iter({**case.realisations, **lacks}))
    if name in lacks:
        raise CannotRun(f"{name}: {lacks[name]}")
    if name not in case.realisations:
        raise CannotRun(f"the case has no realisation for {name}")
    case = _placed(case, name, device)
    last = max(i for i, a in enumerate(case.program) if a.action in ("gradient", "step"))
    flags = case.flags(name)[last]
    if svg is not None:
        try:
            svg.write_text(draw(case, flags), "utf-8")
        except OSError as error:
            raise CannotRun(f"cannot write to {svg}: {error.strerror or error}") from None
    print(picture.program(case, name, None))
    print()
    print(picture.text(case, flags))
    if backend is not None:
        print()
        print(BACKENDS[name].render(case))


@app.command()
@backends
@click.option("--seed", type=int, default=0, metavar="N", help="Draw the cases of this seed.")
@click.option("--profile", default="ci", metavar="NAME", help="How many cases at most: ci.")
@click.option("--fault", "names", multiple=True, metavar="NAME", help="This fault; repeatable.")
def faults(backends: tuple[str, ...], seed: int, profile: str, names: tuple[str, ...]) -> None:
    """Break the frameworks in known ways: 0 every fault is found, 1 one is not."""
    from invariants.backends.runner import prepare
    from invariants.faults import FAULTS
    from invariants.faults.trial import attempt
    from invariants.suite.session import OptionError, Options

    try:
        options = Options.checked(list(backends), profile, None, seed, None, False)
    except OptionError as error:
        raise CannotRun(str(error)) from None
    known = [f for f in FAULTS if f.backend in options.backends]
    unknown = set(names) - {f.name for f in known}
    if unknown:
        near = difflib.get_close_matches(min(unknown), [f.name for f in known], 3, 0.3)
        meant = f", did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
        raise CannotRun(
            f"unknown fault {min(unknown)!r}: {len(known)} are known for "
            f"{' and '.join(options.backends)}{meant}"
        )
    try:
        for backend in options.backends:
            prepare(backend)
    except BackendUnavailable as error:
        raise CannotRun(str(error)) from None
    missed = 0
    print(
        f"{'fault':<40} {'backend':<10} {'found by':<24} {'examples':>8} {'seconds':>8}"
        " layers width"
    )
    for fault in known:
        if names and fault.name not in names:
            continue
        trial = attempt(fault, seed, profile)
        missed += not trial.property_ or trial.false_alarm
        print(
            f"{fault.name:<40} {fault.backend:<10} {_outcome(trial):<24} "
            f"{trial.examples:>8} {trial.seconds:>8.1f} {trial.layers:>6} {trial.width:>5}",
            flush=True,
        )
    sys.exit(1 if missed else 0)


def _outcome(trial: Trial) -> str:
    return "FALSE ALARM" if trial.false_alarm else trial.property_ or "NOT FOUND"


for _command in (command.gate, command.show_report, command.record, command.bisect):
    app.add_command(_command)


def main() -> None:
    """The entry point of the command."""
    try:
        app(standalone_mode=False)
    except click.ClickException as error:
        print(f"invariants: {error.format_message()}", file=sys.stderr)
        sys.exit(2)
    except (CannotRun, CaseError, GateError, BackendUnavailable) as error:
        print(f"invariants: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        print("invariants: interrupted", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        traceback.print_exc()
        what = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"invariants: {_BUG}: {what}", file=sys.stderr)
        sys.exit(2)
