"""An action raises or warns what the contract names, and nothing else.

The model that it runs on holds its weights in the dtype that the program asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from invariants.case import Case
from invariants.finding import Finding
from invariants.observation import DEATHS, NOT_OFFERED, Raised
from invariants.properties.evidence import Evidence


def judge(evidence: Evidence) -> Iterator[Finding]:
    named = {p.action: p.raises for p in evidence.expectation.points if p.raises is not None}
    possible = {p.action: p.may_raise for p in evidence.expectation.points}
    documented = {p.action: p.warns for p in evidence.expectation.points}
    allowed = {p.action: p.may_warn for p in evidence.expectation.points}
    recorded = {point.action for point in evidence.observation.points}
    for action in range(-1, min(evidence.horizon + 1, len(evidence.case.program))):
        error = evidence.observation.errors.get(action)
        expected = named.get(action)
        if error is not None and _refuses_overflow(evidence, action, error.message):
            continue
        if error is not None and _as_named(error, possible.get(action)):
            continue
        if not _as_named(error, expected):
            finding = _finding(
                evidence,
                action,
                "raises",
                "nothing raised" if expected is None else f"{expected[0]}: ...{expected[1]}...",
                "nothing raised" if error is None else f"{error.kind}: {_line(error.message)}",
            )
            missing = error and (
                _missing_kernel(evidence, action, error) or _missing_part(evidence, error)
            )
            if error is not None and missing:
                part, said = missing
                what = _layer_of(evidence.case, error) or "a part of the program"
                finding = replace(
                    finding,
                    severity="unsupported",
                    message=f"{what} is not offered{part}",
                    got=f"{error.kind}: {said}",
                )
            if error is not None and error.kind == NOT_OFFERED:
                part, _, reason = error.message.partition(": ")
                kinds = {p.path: p.layer.kind for p in evidence.case.architecture.layers}
                part = kinds.get(part, part)
                message = f"{part} is not offered"
                finding = replace(finding, severity="unsupported", message=message, got=reason)
            if error is not None and error.kind in DEATHS:
                finding = replace(finding, relation="ends")
            yield finding
        yield from _warnings(evidence, action, documented.get(action, ()), allowed.get(action, ()))
    for point in evidence.expectation.points:
        if (
            point.raises is None
            and point.action < evidence.horizon
            and point.action not in recorded
        ):
            yield _finding(evidence, point.action, "present", "a record", "none")
    yield from _dtypes(evidence)


def _warnings(
    evidence: Evidence, action: int, documented: tuple[str, ...], allowed: tuple[str, ...]
) -> Iterator[Finding]:
    given = evidence.observation.warnings.get(action, ())
    idle = evidence.expectation.idle_warnings
    for kind, text in given:
        if not any(said in text for said in (*documented, *allowed, *idle)):
            yield _finding(evidence, action, "quiet", "no warning", f"{kind}: {_line(text)}")
    for said in documented:
        if not any(said in text for _, text in given):
            yield _finding(evidence, action, "warns", f"a warning: ...{said}...", "no warning")


def _dtypes(evidence: Evidence) -> Iterator[Finding]:
    loaded = evidence.observation.at(-1)
    for name, array in loaded.weights.items() if loaded else ():
        if array.dtype.name != evidence.case.dtype:
            yield Finding(
                property_="program_runs",
                backend=evidence.backend,
                action=-1,
                subject=name,
                message=f"{name} is not held in the dtype that was asked for",
                relation="dtype",
                field="weights",
                expected=evidence.case.dtype,
                got=array.dtype.name,
            )


def _missing_kernel(evidence: Evidence, action: int, error: Raised) -> tuple[str, str] | None:
    """For which 16-bit format or device a framework says that it has no kernel, and its words.

    No promise is broken by that.
    """
    case, line = evidence.case, _line(error.message)
    held = case.dtype if action < 0 else case.dtypes[action]
    dtype = evidence.mode.traits.get("autocast", held)
    if any(part in error.message for part in evidence.device.unoffered):
        return f" on {evidence.device.name}", line
    said = evidence.contract["missing_kernel"] if evidence.narrow else ()
    return (f" in {dtype}", line) if any(part in error.message for part in said) else None


def _refuses_overflow(evidence: Evidence, action: int, message: str) -> bool:
    """Whether a framework refuses NaN where training may have left the range of the dtype.

    There the oracle says nothing of the numbers, and so nothing of who objects to them; nor where
    it does not know what random layers drew.
    """
    said = evidence.contract["refuses_overflow"]
    if not any(part in message for part in said):
        return False
    points = [point for point in evidence.expectation.points if point.action <= action]
    if any(p.action == action and p.loss is None and p.raises is None for p in points):
        return True
    estimates = [e for p in points if p.action < action for e in p.weights.values()]
    estimates += [e for p in points if p.action == action for e in p.gradients.values()]
    return any(np.isinf(estimate.spread).any() for estimate in estimates)


def _missing_part(evidence: Evidence, error: Raised) -> tuple[str, str] | None:
    """Which option this release says that it has not, "" where it is the layer, and its words.

    Only of what the script itself names: a layer that fails because the framework's own code calls
    for something that is not there is offered, and broken.
    """
    if not error.of_the_line:
        return None
    for kind, pattern in evidence.contract["missing_part"]:
        found = re.search(pattern, error.message) if error.kind == kind else None
        if found and any(re.search(rf"\b{found[1]}\b", line) for line in error.lines):
            option = f" with {found[1]}" if kind == "TypeError" else ""
            return option, found[0]
    return None


def _layer_of(case: Case, error: Raised) -> str:
    """The kind of the layer that was being made or called, as far as the script's lines tell."""
    kinds = {p.path.rpartition(".")[2]: p.layer.kind for p in case.architecture.layers}
    words = (word for line in error.lines for word in re.findall(r"\w+", line))
    return next((kinds[word] for word in words if word in kinds), "")


def _as_named(error: Raised | None, expected: tuple[str, str] | None) -> bool:
    if error is None or expected is None:
        return error is None and expected is None
    return error.kind == expected[0] and expected[1] in error.message


def _line(text: str) -> str:
    """A message in one line, not too long, without the colours that Keras gives its own."""
    line = " ".join(re.sub(r"\x1b\[\d*m", "", text).split())
    return line if len(line) <= 200 else line[:197] + "..."


def _finding(evidence: Evidence, action: int, relation: str, expected: str, got: str) -> Finding:
    program = evidence.case.program
    what = "building the model" if action < 0 else f"the {program[action].action}"
    verb = {
        "raises": "did not end as documented",
        "quiet": "warned",
        "warns": "did not warn as documented",
        "present": "recorded nothing",
    }
    return Finding(
        property_="program_runs",
        backend=evidence.backend,
        action=action,
        subject="",
        message=f"{what} {verb[relation]}",
        relation=relation,
        expected=expected,
        got=got,
    )
