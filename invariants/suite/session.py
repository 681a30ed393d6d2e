"""The options of one run, and what the batches of a worker have found so far."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from invariants.backends import BACKENDS, installed
from invariants.backends.needs import missing_modes
from invariants.backends.places import CASE_LIMIT, Place, place_for
from invariants.backends.probing import absent
from invariants.backends.runner import BackendUnavailable
from invariants.generate.cases import Wanted
from invariants.ledger import applying
from invariants.oracle.contract import CONTRACTS
from invariants.suite.hunt import Plan
from invariants.suite.profiles import PROFILES

#: How many seconds the cases of a mode may take in which a known issue is looked for.
LOOKING = 200.0


class OptionError(ValueError):
    """An option that a run cannot follow; one line says which and what to do."""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line; see `invariants verify --help`."""

    backends: tuple[str, ...]
    profile: str
    max_examples: int | None
    seed: int
    report: Path | None
    ignore_known_issues: bool
    modes: tuple[str, ...] = ()
    case_limit: float = 0.0  # seconds; 0 where cases run in the process that judges
    device: str = "cpu"

    @staticmethod
    def checked(
        backends: list[str],
        profile: str,
        max_examples: int | None,
        seed: int,
        report: str | None,
        ignore_known_issues: bool,
        modes: Sequence[str] = (),
        case_limit: float = 0.0,
        device: str = "cpu",
    ) -> Options:
        """The options, checked; raises OptionError."""
        for name in backends:
            if name not in BACKENDS:
                raise OptionError(f"unknown backend {name!r}: choose from {', '.join(BACKENDS)}")
            if not installed(name):
                raise OptionError(
                    f"{name} is not installed: pip install 'freeze-invariants[{name}]'"
                )
        if profile not in PROFILES:
            raise OptionError(f"unknown profile {profile!r}: choose from {', '.join(PROFILES)}")
        if seed < 0:
            raise OptionError(f"--seed must be at least 0, not {seed}")
        if max_examples is not None and max_examples < 1:
            raise OptionError(f"--max-examples must be at least 1, not {max_examples}")
        chosen = tuple(dict.fromkeys(backends)) or tuple(b for b in BACKENDS if installed(b))
        if not chosen:
            raise OptionError(
                "neither torch nor tensorflow is installed: pip install 'freeze-invariants[all]'"
            )
        chosen = _with_device(device, chosen, bool(backends))
        offered = [mode for name in chosen for mode in CONTRACTS[name].mode_names]
        for mode in modes:
            if mode not in offered:
                raise OptionError(f"unknown mode {mode!r}: choose from {', '.join(offered)}")
        missing = {mode: why for b in chosen for mode, why in missing_modes(b, device).items()}
        if modes and not set(modes) - set(missing):
            raise OptionError(f"the mode {modes[0]!r} cannot run: {missing[modes[0]]}")
        folder = writable(Path(report)) if report else None
        return Options(
            chosen,
            profile,
            max_examples,
            seed,
            folder,
            ignore_known_issues,
            tuple(modes),
            case_limit,
            device,
        )

    @property
    def place(self) -> Place:
        """Where the cases run."""
        return place_for(self.case_limit)

    def plans(self) -> list[Plan]:
        """The batches of the run; what is slower comes first."""
        profile = PROFILES[self.profile]
        plans: list[Plan] = []
        for backend in sorted(self.backends, key=lambda name: name != "tensorflow"):
            missing = missing_modes(backend, self.device)
            modes = {
                mode.name: profile.share(mode)
                for mode in CONTRACTS[backend].modes
                if mode.name not in missing
            }
            asked = {name: modes[name] for name in self.modes if name in modes}
            total = self.max_examples or profile.examples[backend]
            if asked:
                quick = {mode.name for mode in CONTRACTS[backend].modes if mode.quick}
                shares = {
                    name: self.max_examples or (total if name in quick else share) or total
                    for name, share in asked.items()
                }
            elif self.modes:
                continue
            else:
                own = {} if self.max_examples else modes
                apart = sum(own.get(m.name, 0) for m in CONTRACTS[backend].modes if m.quick)
                shares = {**own, "": total - apart}
                plans += [] if self.max_examples else self._sought(backend, missing)
            for mode, left in shares.items():
                plans += self._batches(backend, mode, left)
        return plans

    def _sought(self, backend: str, missing: Collection[str]) -> Iterator[Plan]:
        """A batch for each known issue that others seldom meet, which ends once it is met."""
        profile = PROFILES[self.profile]
        most = profile.of_an_issue.get(backend, 0)
        for number, issue in enumerate(applying(backend) if most else ()):
            mode = issue.wanted.get("mode", "")
            if not issue.wanted or mode in missing:
                continue
            seconds = CONTRACTS[backend].mode(mode).seconds if mode else 0.0
            yield Plan(
                backend=backend,
                seed=self.seed * 1_000_003 + 20_011 * (1 + number),
                examples=min(most, int(LOOKING / seconds)) if seconds else most,
                reduce_seconds=profile.reduce_seconds,
                ignore_known_issues=self.ignore_known_issues,
                wanted=Wanted(**issue.wanted),
                until=issue,
                case_limit=self.case_limit,
                device=self.device,
            )

    def _batches(self, backend: str, mode: str, left: int) -> Iterator[Plan]:
        """Batches of `left` cases in all."""
        profile, number = PROFILES[self.profile], 0
        apart = 10_007 * (1 + CONTRACTS[backend].mode_names.index(mode)) if mode else 0
        others = self.backends if not mode else ()
        while left > 0:
            examples = min(left, profile.batch[backend])
            yield Plan(
                backend=backend,
                seed=self.seed * 1_000_003 + 101 * number + apart,
                examples=examples,
                reduce_seconds=profile.reduce_seconds,
                compare="torch" if backend != "torch" and "torch" in others else "",
                ignore_known_issues=self.ignore_known_issues,
                wanted=Wanted(mode=mode),
                case_limit=self.case_limit,
                device=self.device,
            )
            left -= examples
            number += 1


def case_limit_of(isolate: bool, seconds: float | None) -> float:
    """What `Options.case_limit` is for --isolate and --case-limit."""
    if seconds is not None and not seconds > 0:
        raise OptionError(f"--case-limit must be more than 0, not {seconds:g}")
    return seconds or (CASE_LIMIT if isolate else 0.0)


def _with_device(device: str, chosen: tuple[str, ...], asked: bool) -> tuple[str, ...]:
    """The backends among the chosen that have a device; raises OptionError where it is not there.

    asked: they were asked for by name, so that none may be left out.
    """
    known = dict.fromkeys(name for one in CONTRACTS.values() for name in one.device_names)
    if device not in known:
        raise OptionError(f"unknown device {device!r}: choose from {', '.join(known)}")
    having = tuple(name for name in chosen if device in CONTRACTS[name].device_names)
    if not having or (asked and having != chosen):
        name = next(name for name in chosen if name not in having)
        names = " and ".join(CONTRACTS[name].device_names)
        raise OptionError(f"{name} has no device {device!r}, but {names}")
    for name in having:
        try:
            reason = absent(name, device)
        except BackendUnavailable:  # its batches say so
            continue
        if reason:
            raise OptionError(f"there is no device {device!r} for {name} here: {reason}")
    return having


def writable(folder: Path) -> Path:
    """`folder`, made if need be; raises OptionError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OptionError(f"cannot write to {folder}: {error.strerror or error}") from None
    return folder


@dataclass
class Muted:
    """The properties that this process has already reported, by backend."""

    by_backend: dict[str, set[str]] = field(default_factory=dict)

    def of(self, backend: str) -> set[str]:
        return self.by_backend.setdefault(backend, set())
