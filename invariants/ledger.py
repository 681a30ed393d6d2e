"""The ledger of known issues: a label on a finding, never a filter on what is generated.

An entry says what the framework does instead of what it documents, as other values for points of
its contract. A finding is explained by the entry when it vanishes once the expectation is computed
as if the contract said so: the narrowest condition there is.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from invariants.backends import BACKENDS, versions
from invariants.document import echoed
from invariants.finding import Finding
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.oracle.contract.domains import misfit
from invariants.oracle.expectation import Expectation
from invariants.properties import PROPERTIES, findings
from invariants.properties.evidence import Evidence
from invariants.recall import expected

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class LedgerError(ValueError):
    """A ledger that cannot be read; one line says what is wrong."""


@dataclass(frozen=True)
class KnownIssue:
    """One entry; see known_issues.toml."""

    id: str
    backend: str
    versions: dict[str, SpecifierSet]
    properties: tuple[str, ...]
    as_if: dict[str, Any]
    title: str
    reason: str
    reference: str
    instead: str
    at_random: bool = False  # it depends on what memory held
    documented: bool = False  # a hazard: what it does is written down, and moves what is frozen
    modes: tuple[str, ...] = ()  # it is of these alone, where some are named
    wanted: Mapping[str, Any] = field(default_factory=dict)  # what cases seldom have that show it

    def applies(self, installed: dict[str, str]) -> bool:
        """Whether the installed versions are among those that have the issue."""
        return all(
            installed.get(package, "")
            and specifier.contains(Version(installed[package]), prereleases=True)
            for package, specifier in self.versions.items()
        )


def parse(text: str) -> tuple[KnownIssue, ...]:
    """The entries in the TOML `text`; raises LedgerError."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # it limits neither numbers nor nesting itself
        raise LedgerError(f"not TOML: {error}") from None
    entries = document.pop("issue", [])
    if document:
        raise LedgerError(f"holds tables [[issue]] and nothing else, not {echoed(min(document))}")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LedgerError("issues are tables: [[issue]]")
    issues = tuple(_entry(number, entry) for number, entry in enumerate(entries))
    names = [issue.id for issue in issues]
    for number, name in enumerate(names):
        if name in names[:number]:
            first = names.index(name) + 1
            raise LedgerError(f"issue {number + 1} ({name}): issue {first} has this id as well")
    return issues


#: What a field holds, where it is no text.
_KINDS: dict[str, tuple[type, str]] = {
    "versions": (dict, "a table"),
    "as_if": (dict, "a table"),
    "properties": (list, "a list"),
    "at_random": (bool, "true or false"),
    "documented": (bool, "true or false"),
    "modes": (list, "a list"),
    "wanted": (dict, "a table"),
}


#: An id names files, is a column of tables, and stands in labels that join ids by " + ".
_ID = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*")


def _entry(number: int, entry: dict[str, Any]) -> KnownIssue:
    name = entry.get("id", "no id")
    fits = isinstance(name, str) and bool("id" not in entry or _ID.fullmatch(name))
    where = f"issue {number + 1} ({name if fits else echoed(name)})"
    absent = {MISSING}
    required = [f.name for f in fields(KnownIssue) if {f.default, f.default_factory} == absent]
    missing = [name for name in required if name not in entry]
    if missing:
        raise LedgerError(f"{where}: {missing[0]} is missing")
    unknown = sorted(set(entry) - set(KnownIssue.__dataclass_fields__))
    if unknown:
        raise LedgerError(f"{where}: there is no field {echoed(unknown[0])}")
    for name, value in entry.items():
        kind, called = _KINDS.get(name, (str, "a text"))
        if not isinstance(value, kind):
            raise LedgerError(f"{where}: {name} must be {called}, not {echoed(value)}")
    if not fits:
        raise LedgerError(f"{where}: id must be words in lower case, joined by hyphens")
    if entry["backend"] not in BACKENDS:
        raise LedgerError(f"{where}: unknown backend {echoed(entry['backend'])}")
    if not entry["properties"]:
        raise LedgerError(f"{where}: properties names none of {', '.join(PROPERTIES)}")
    for name in entry["properties"]:
        if name not in [*PROPERTIES]:
            known = ", ".join(PROPERTIES)
            raise LedgerError(f"{where}: unknown property {echoed(name)}, there are {known}")
    offered = CONTRACTS[entry["backend"]].mode_names
    for mode in entry.get("modes", ()):
        if mode not in offered:
            known = ", ".join(offered)
            raise LedgerError(f"{where}: unknown mode {echoed(mode)}, there are {known}")
    if not entry["as_if"]:
        raise LedgerError(f"{where}: as_if names no point, so that it would label nothing")
    for name in ("as_if", "wanted"):
        if not _finite(entry.get(name, {})):
            raise LedgerError(f"{where}: {name} holds a number that is not finite")
    for point, value in entry["as_if"].items():
        if point not in CONTRACTS[entry["backend"]].clauses:
            raise LedgerError(f"{where}: the contract has no point {echoed(point)}")
        wanted = misfit(point, value)
        if wanted:
            raise LedgerError(f"{where}: {point} must be {wanted}, not {echoed(value)}")
    _check_wanted(where, entry)
    lists = {name: tuple(entry.get(name, ())) for name in ("properties", "modes")}
    return KnownIssue(**{**entry, **lists, "versions": _specifiers(where, entry)})


def _finite(value: Any) -> bool:
    """Whether all numbers in a value of TOML are finite."""
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _check_wanted(where: str, entry: dict[str, Any]) -> None:
    """Raises LedgerError for what no case can be drawn with."""
    if not entry.get("wanted"):
        return
    # Here, for it imports Hypothesis: who replays a case without findings need not wait for that.
    from invariants.generate.cases import Wanted, cases

    known = [one.name for one in fields(Wanted)]
    for name in entry["wanted"]:
        if name not in known:
            said = f"there is no field {echoed(name)}, but {', '.join(known)}"
            raise LedgerError(f"{where}: wanted: {said}")
    try:
        cases([entry["backend"]], **entry["wanted"])
    except ValueError as error:
        raise LedgerError(f"{where}: wanted: {error}") from None


def _specifiers(where: str, entry: dict[str, Any]) -> dict[str, SpecifierSet]:
    """The versions that an entry is of; one that names none would be of every release."""
    packages = BACKENDS[entry["backend"]].PACKAGES
    if not entry["versions"]:
        raise LedgerError(f"{where}: versions names none of {' and '.join(packages)}")
    specifiers = {}
    for package, text in entry["versions"].items():
        if package not in packages:
            known = " and ".join(packages)
            raise LedgerError(f"{where}: versions are of {known}, not {echoed(package)}")
        said = f"{where}: {echoed(text)} is no version specifier of {package}"
        try:
            specifier = SpecifierSet(text if isinstance(text, str) else repr(text))
            possible = any(specifier.contains(one, prereleases=True) for one in _about(specifier))
        except (InvalidSpecifier, InvalidVersion):
            raise LedgerError(f"{said}, such as '>=2.13,<2.14'") from None
        if not specifier:
            raise LedgerError(f"{where}: the specifier of {package} is empty, that is any version")
        if not possible:
            raise LedgerError(f"{said} that a version can satisfy")
        specifiers[package] = specifier
    return specifiers


def _about(specifier: SpecifierSet) -> Iterator[Version]:
    """The versions that bounds name, those beside them, and a late one: if any is allowed, one is.

    Raises InvalidVersion for a bound that names none, which `===` lets pass.
    """
    yield Version("99999")
    for bound in specifier:
        named = Version(bound.version.removesuffix(".*"))
        yield named
        yield Version(f"{named.base_version}.0.0.0.1")
        counted = [place for place, number in enumerate(named.release) if number]
        if counted:
            *first, last = named.release[: counted[-1] + 1]
            yield Version(".".join(map(str, (*first, last - 1, 99999))))


@lru_cache(maxsize=1)
def known_issues() -> tuple[KnownIssue, ...]:
    """The entries that ship with the package; raises LedgerError, naming the file."""
    try:
        return parse(_shipped())
    except OSError as error:
        said = f"cannot be read: {error.strerror or error}; install the package anew"
        raise LedgerError(f"known_issues.toml: {said}") from None
    except UnicodeDecodeError as error:
        said = f"not text in UTF-8: {error.reason} at byte {error.start}"
        raise LedgerError(f"known_issues.toml: {said}") from None
    except LedgerError as error:
        raise LedgerError(f"known_issues.toml: {error}") from None


def _shipped() -> str:
    return (resources.files("invariants") / "known_issues.toml").read_text("utf-8")


def pinned_case(issue: KnownIssue) -> Path:
    """The file of the case that shows the issue."""
    return Path(str(resources.files("invariants") / "known_issues" / f"{issue.id}.json"))


def repro(issue: KnownIssue) -> Path | None:
    """A script of a few lines, on the framework alone, that fails while the issue is there."""
    script = pinned_case(issue).with_suffix(".py")
    return script if script.is_file() else None


def applying(backend: str, installed: dict[str, str] | None = None) -> tuple[KnownIssue, ...]:
    """The entries for these versions of `backend`, by default those that are installed here."""
    installed = versions(backend) if installed is None else installed
    return tuple(
        issue for issue in known_issues() if issue.backend == backend and issue.applies(installed)
    )


def told(
    found: Sequence[Finding], evidence: Evidence, issues: Sequence[KnownIssue]
) -> list[Finding]:
    """All that is to be told of a case: what was found, labelled, and what a known issue hid.

    Numbers are judged up to the first action that leaves other weights than documented. Where a
    known issue says which, they are judged on from those, and what shows then is labelled in turn.
    """
    labelled = label(found, evidence, issues)
    given: tuple[KnownIssue, ...] = ()
    while (named := issues_named(labelled, issues)) != given:
        given = named
        known = {finding.key for finding in labelled}
        hidden = [
            finding
            for finding in findings(_as_if(evidence, given))
            if finding.severity == "violation" and finding.key not in known
        ]
        labelled += label(hidden, evidence, issues, given)
    return labelled


def issues_named(
    labelled: Sequence[Finding], issues: Sequence[KnownIssue]
) -> tuple[KnownIssue, ...]:
    """Those of `issues` that labels name."""
    named = {name for finding in labelled for name in finding.issue.split(" + ")}
    return tuple(issue for issue in issues if issue.id in named)


def label(
    found: Sequence[Finding],
    evidence: Evidence,
    issues: Sequence[KnownIssue],
    given: Sequence[KnownIssue] = (),
) -> list[Finding]:
    """`found` with those that the issues explain marked as known, by the issue that does.

    Each issue is tried alone, then all together, since several may meet in one case; of these only
    the ones without which the explanation fails are named, and one that spoils it is left out, as
    it may where it changes what another goes by. One whose points of the contract nothing
    in the case asks for changes nothing, and is not tried. given: issues that the case is known to
    have anyway.
    """
    labelled = list(found)
    if all(finding.severity != "violation" for finding in labelled):
        return labelled
    issues = [issue for issue in _met(evidence, issues) if issue not in given]
    for issue in issues:
        labelled = _explained(labelled, evidence, (issue,), given)
    together = tuple(issues)
    best = _explained(labelled, evidence, together, given)
    # First those that spoil it, for while one is there the others seem to be of no use; and of two
    # that change the same point first the one that changes others as well. Nothing is spoilt where
    # nothing is left to explain.
    for gain in (1, 0) if _unexplained(best) else (0,):
        for issue in sorted(together, key=lambda issue: -len(issue.as_if)):
            fewer = tuple(other for other in together if other is not issue)
            attempt = _explained(labelled, evidence, fewer, given)
            if _unexplained(attempt) + gain <= _unexplained(best):
                together, best = fewer, attempt
    return best


def _unexplained(labelled: Sequence[Finding]) -> int:
    return sum(finding.severity == "violation" for finding in labelled)


def _explained(
    labelled: list[Finding],
    evidence: Evidence,
    issues: tuple[KnownIssue, ...],
    given: Sequence[KnownIssue],
) -> list[Finding]:
    """`labelled` with the violations that vanish under `issues` marked as known.

    Not those from where on an action would have to end otherwise than it did: that hides them.
    """
    if len(issues) < 1 or all(finding.severity != "violation" for finding in labelled):
        return labelled
    properties = {name for issue in issues for name in issue.properties}
    violated = {finding.property_ for finding in labelled if finding.severity == "violation"}
    if violated.isdisjoint(properties):
        return labelled
    left = findings(_as_if(evidence, (*given, *issues)))
    keys = {finding.key for finding in left if finding.severity == "violation"}
    known = {finding.key for finding in labelled}
    anew = (f for f in left if f.property_ == "program_runs" and f.severity == "violation")
    until = min((f.action for f in anew if f.key not in known), default=math.inf)
    name = " + ".join(issue.id for issue in issues)
    documented = all(issue.documented for issue in issues)
    return [
        replace(finding, severity="hazard" if documented else "known issue", issue=name)
        if finding.severity == "violation"
        and finding.key not in keys
        and finding.action < until
        and finding.property_ in properties
        else finding
        for finding in labelled
    ]


def _met(evidence: Evidence, issues: Sequence[KnownIssue]) -> list[KnownIssue]:
    """Those of `issues` that change a point which the case asks for, as it is or under them all.

    One of some modes alone is met in these.
    """
    asked: set[tuple[str, str]] = set()
    sides = (evidence, *([evidence.other] if evidence.other else []))
    ran_in = {one.backend: one.mode.name for one in sides}
    issues = [i for i in issues if not i.modes or ran_in.get(i.backend) in i.modes]
    for one in sides:
        changed = _expected(one, _changed(one, issues))
        asked |= {(one.backend, point) for point in one.expectation.asked | changed.asked}
    return [i for i in issues if any((i.backend, point) in asked for point in i.as_if)]


def _changed(evidence: Evidence, issues: Sequence[KnownIssue]) -> Contract:
    """The contract of what ran, as its issues make it."""
    mine = [issue for issue in issues if issue.backend == evidence.backend]
    return evidence.contract.as_if({p: value for i in mine for p, value in i.as_if.items()})


def _expected(evidence: Evidence, contract: Contract) -> Expectation:
    """What another contract says of the program of `evidence`."""
    return expected(evidence.case, evidence.backend, evidence.observation.draws, contract)


def _as_if(evidence: Evidence, issues: Sequence[KnownIssue]) -> Evidence:
    """The evidence with the expectation that the issues make of it, of either backend."""
    if evidence.other is not None:
        evidence = replace(evidence, other=_as_if(evidence.other, issues))
    if all(issue.backend != evidence.backend for issue in issues):
        return evidence
    contract = _changed(evidence, issues)
    return replace(evidence, expectation=_expected(evidence, contract))
