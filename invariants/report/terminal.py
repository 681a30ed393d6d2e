"""The header and the closing table of a run, through rich."""

from __future__ import annotations

import platform
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from invariants.architecture.layers import LAYERS
from invariants.backends import BACKENDS, installed, versions
from invariants.backends.needs import missing_modes
from invariants.backends.runner import BackendUnavailable
from invariants.generate.unoffered import Unoffered, unoffered
from invariants.hazards import HAZARDS, Hazard
from invariants.ledger import KnownIssue, known_issues, repro
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.rounding import LAMBDA
from invariants.suite.offering import lacking
from invariants.suite.session import Options
from invariants.suite.tally import PLACES, Tally, places

#: How many kinds of layers are named of those that lack an option.
_NAMED = 3


def header(
    options: Options, tell: Callable[[str], None] | None = None, *, reasons: bool = False
) -> list[str]:
    """What is under test, in a few lines.

    tell: takes a line of progress where the frameworks are to be asked what they lack; without it
    stands what is known of that. reasons: each option that a framework lacks has a line of its own,
    with the layers that have it elsewhere and what is documented.
    """
    lines = [
        f"invariants {metadata.version('freeze-invariants')}, Python {platform.python_version()}, "
        f"hypothesis {metadata.version('hypothesis')}, numpy {metadata.version('numpy')}; "
        f"λ = {LAMBDA:g}, profile {options.profile}, seed {options.seed}"
    ]
    for backend in BACKENDS:
        if backend in options.backends:
            on = f" on {options.device}" if options.device != "cpu" else ""
            lines.append(f"verifying {backend}{on}: {_packages(backend)}")
            lines += _without(CONTRACTS[backend].lacks)
            lines += _unoffered(backend, reasons)
            lines += _without(missing_modes(backend, options.device))
            lines += _lacking(backend, options.device, tell)
        elif options.device not in CONTRACTS[backend].device_names:
            lines.append(f"not verified: {backend} (has no device {options.device})")
        elif installed(backend):
            lines.append(f"not verified: {backend} (not asked for)")
        else:
            lines.append(
                f"not verified: {backend} (not installed: "
                f"pip install 'freeze-invariants[{backend}]')"
            )
    return lines


def hanging(line: str, width: int) -> str:
    """A line of the header in a terminal of `width` columns, what hangs over further in."""
    return textwrap.fill(line, width, subsequent_indent=" " * 6, break_on_hyphens=False)


def _without(reasons: Mapping[str, str]) -> list[str]:
    """What is lacking, a line for all of one reason."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [f"  no {', '.join(lacking)}: {reason}" for reason, lacking in names.items()]


def _unoffered(backend: str, reasons: bool) -> list[str]:
    """The options that others have and this backend has not."""
    lacks = unoffered(backend)
    if reasons:
        return [f"  no {_option(lack)}: {lack.said}" for lack in lacks]
    options = "; ".join(lack.option for lack in lacks)
    return [f"  options that it lacks (--coverage says why): {options}"] if lacks else []


def _option(lack: Unoffered) -> str:
    """An option that is lacking, with the first of the layers that have it elsewhere."""
    if not lack.kinds:
        return lack.option
    more = len(lack.kinds) - _NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"{lack.option} ({', '.join(lack.kinds[:_NAMED])}{rest})"


def _lacking(backend: str, device: str, tell: Callable[[str], None] | None) -> list[str]:
    """What the framework says that it lacks: a line for all that it says the same of."""
    try:
        lacks = lacking(backend, device, tell)
    except BackendUnavailable:  # its batches say so
        return []
    if lacks is None:
        return []
    if not lacks:
        return ["  every other kind of layer in every dtype"]
    kinds: dict[tuple[str, str], list[str]] = {}
    for lack in lacks:
        kinds.setdefault((lack.part, lack.said), []).append(lack.kind)
    return [
        f"  not {part or 'at all'}: {', '.join(k)} ({said})" for (part, said), k in kinds.items()
    ]


def _packages(backend: str) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions(backend).items())


_COLUMNS = (
    "backend",
    "cases",
    "gradients",
    "elements",
    "uninformative",
    "largest error",
    "violations",
    "known",
    "hazards",
)


def table(tallies: Mapping[str, Tally]) -> Table:
    """One row a backend: how much was judged, and what was found."""
    drawn = Table(title=None, title_justify="left")
    for column in _COLUMNS:
        drawn.add_column(column, justify="left" if column == "backend" else "right")
    for backend, tally in tallies.items():
        drawn.add_row(
            backend,
            f"{tally.cases:,}",
            f"{tally.gradients:,}",
            f"{tally.elements:,}",
            f"{tally.uninformative_share:.2%}",
            f"{tally.largest:.2f} σ",
            Text(str(tally.violated), style="bold red" if tally.violated else "green"),
            str(sum(tally.known.values())),
            str(sum(tally.hazards.values())),
        )
    return drawn


def worth(tallies: Mapping[str, Tally]) -> list[str]:
    """Whether the cases were worth judging, one line a backend."""
    return [
        f"{backend}: median {tally.median_layers} layers, "
        f"{tally.share(tally.frozen_middle):.0%} frozen between trainable layers, "
        f"{tally.share(tally.ties):.0%} with exact ties, "
        f"{tally.share(tally.stochastic):.0%} with random layers, "
        f"{tally.rejected_share:.1%} of draws rejected, "
        f"{tally.narrow_share:.0%} uninformative in 16 bits"
        + (f", {tally.blind:,} steps whose gradients could not be seen" if tally.blind else "")
        for backend, tally in tallies.items()
    ]


def modes(tallies: Mapping[str, Tally]) -> list[str]:
    """How many cases each mode had, and which had none, one line a backend."""
    lines = []
    for backend, tally in tallies.items():
        counts = {mode.name: tally.modes[mode.name] for mode in CONTRACTS[backend].modes}
        had = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
        missing = missing_modes(backend)
        none = [
            f"{name} ({missing[name]})" if name in missing else name
            for name, n in counts.items()
            if not n
        ]
        lines.append(f"{backend}: {had}" + (f"; none in {', '.join(none)}" if none else ""))
    return lines


def coverage(tallies: Mapping[str, Tally]) -> list[RenderableType]:
    """How often each kind of layer was met in each place: blank where not, a dash where none is;
    and of what else the cases were made.
    """
    parts: list[RenderableType] = []
    for backend, tally in tallies.items():
        drawn = Table(title=f"cases of {backend} with a layer of each kind", title_justify="left")
        drawn.add_column("layer")
        for place in PLACES:
            drawn.add_column(place, justify="right")
        for kind in LAYERS:
            if kind not in CONTRACTS[backend].lacks:
                drawn.add_row(kind, *(_met(tally, kind, place) for place in PLACES))
        parts += [drawn, _makeup(backend, tally)]
    return parts


def _makeup(backend: str, tally: Tally) -> Table:
    drawn = Table(title=f"cases of {backend} with each option", title_justify="left")
    drawn.add_column("of")
    drawn.add_column("cases with each value")
    values: dict[str, list[str]] = {}
    for made_of, count in sorted(tally.made_of.items()):
        part, _, value = made_of.partition(": ")
        values.setdefault(part, []).append(f"{value} ({count:,})")
    for part in sorted(values, key=lambda part: ("." in part, part)):
        drawn.add_row(part, ", ".join(values[part]))
    return drawn


def _met(tally: Tally, kind: str, place: str) -> str:
    if place not in places(kind):
        return "–"
    return str(tally.reach[f"{kind}:{place}"] or "")


def missed(tallies: Mapping[str, Tally]) -> list[str]:
    """The layers that a run did not meet in a place where they can be, by backend and place."""
    lines = []
    for backend, tally in tallies.items():
        lacking = _not_offered(tally)
        absent = {*CONTRACTS[backend].lacks, *lacking.pop("", ())}
        kinds = [k for k in LAYERS if k not in absent]
        said = ""
        for place in PLACES:
            far = [k for k in kinds if place in places(k) and not tally.reach[f"{k}:{place}"]]
            said += f"; {_NEVER[place]}: {', '.join(far)}" if far else ""
        said += "".join(f"; not {part}: {', '.join(had)}" for part, had in lacking.items())
        lines.append(f"{backend}: {len(kinds)} kinds of layers{said}")
    return lines


def _not_offered(tally: Tally) -> dict[str, list[str]]:
    """The kinds that a run was told are lacking: "in float16", "with an_option", "" altogether."""
    lacking: dict[str, list[str]] = {}
    for what in tally.unsupported:
        kind, _, part = what.partition(": ")[0].partition(" is not offered")
        if kind in LAYERS and kind not in lacking.setdefault(part.strip(), []):
            lacking[part.strip()].append(kind)
    return {part: sorted(kinds) for part, kinds in sorted(lacking.items()) if kinds}


#: What is said of the kinds that were not met in a place.
_NEVER = {
    "frozen": "never frozen",
    "trainable": "never trainable",
    "upstream": "never upstream of a frozen layer",
    "downstream": "never downstream of one",
}


def _cases(count: int) -> str:
    return f"{count:,} case" if count == 1 else f"{count:,} cases"


def _of_an_entry(
    entry: Hazard | KnownIssue, called: str, counts: Iterable[Counter[str]], *documented: str
) -> list[str]:
    """What is said of an entry that was met: what to do instead, and what shows it; or nothing."""
    count = sum(counted[entry.id] for counted in counts)
    if not count:
        return []
    head = f"{called} {entry.id} ({_cases(count)}): {entry.title}"
    script = repro(entry) if isinstance(entry, KnownIssue) else None
    shown = [f"  shown by: {script}"] if script else []
    return [head, *documented, f"  instead: {entry.instead}", *shown]


def known(tallies: Mapping[str, Tally]) -> list[str]:
    """The known issues that were met, with what to do instead; and those looked for in vain."""
    counts = [tally.known for tally in tallies.values()]
    lines = [line for i in known_issues() for line in _of_an_entry(i, "known issue", counts)]
    met = {name for tally in tallies.values() for name in (*tally.known, *tally.hazards)}
    for tally in tallies.values():
        for name, cases in tally.unmet.items():
            if name not in met:
                lines.append(f"known issue {name} was looked for in {_cases(cases)} and not met")
    return lines


def hazards(tallies: Mapping[str, Tally]) -> list[str]:
    """The hazards that were met, with what to do instead."""
    counts = [tally.hazards for tally in tallies.values()]
    lines = []
    for hazard in HAZARDS:
        documented = f"  as documented: {hazard.sentence} {hazard.source}"
        lines += _of_an_entry(hazard, "hazard", counts, documented)
    for issue in known_issues():
        lines += _of_an_entry(issue, "hazard", counts)
    return lines


def closing(
    tallies: Mapping[str, Tally], seconds: float, short: Sequence[str] = ()
) -> Sequence[RenderableType]:
    """Everything that stands at the end of a run; `short` says what it could not do."""
    parts: list[RenderableType] = [table(tallies)]
    parts += [
        Text(line, style="dim") for line in (*worth(tallies), *modes(tallies), *missed(tallies))
    ]
    parts += [Text(line, style="yellow") for line in (*known(tallies), *hazards(tallies))]
    parts += [
        Text(f"{_packages(backend)}: {what} ({_cases(count)})", style="yellow")
        for backend, tally in tallies.items()
        for what, count in tally.unsupported.most_common()
    ]
    cases = sum(t.cases for t in tallies.values())
    violated = sum(t.violated for t in tallies.values())
    if violated:
        names = sum((t.violations for t in tallies.values()), Counter[str]())
        which = ", ".join(f"{name} in {count:,}" for name, count in names.most_common())
        verdict = Text(f"violated in {violated:,} of {_cases(cases)}: {which}", style="bold red")
    else:
        style = "bold yellow" if short else "bold green"
        verdict = Text(f"no violation in {_cases(cases)}", style=style)
    said = "".join(f"; {line}" for line in short)
    parts.append(verdict + Text(f"{said} ({seconds:.1f} s)"))
    return parts


def show(console: Console, parts: Sequence[RenderableType]) -> None:
    for part in parts:
        console.print(part, highlight=False)
