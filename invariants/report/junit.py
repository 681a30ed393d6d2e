"""What a gate has found as JUnit XML: a suite for each backend, a test for each mode and property.

A test fails where something new shows in its mode and of its property. What a team waives is
skipped there. A gate that was interrupted is an error of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from invariants.gate.change import Change
from invariants.gate.matrix import NOT_GATED
from invariants.gate.result import Result
from invariants.properties import PROPERTIES
from invariants.report.gate import named, told, verdict, where


def text(result: Result, report: Path) -> str:
    """The text of the file; `report` is the folder of the result."""
    root = Element("testsuites", name="invariants gate", time=f"{result.seconds:g}")
    for backend, counts in result.counts.items():
        suite = SubElement(root, "testsuite", name=f"invariants gate: {backend}")
        changes = [change for change in result.changes if change.kind.backend == backend]
        for mode in counts.modes:
            for name in PROPERTIES:
                if name not in NOT_GATED:
                    found = [c for c in changes if (mode, name) in c.cells and c.status == "new"]
                    _test(suite, f"{backend}.{mode}", name, found, report)
        _count(suite)
    if result.interrupted:
        suite = SubElement(root, "testsuite", name="invariants gate")
        test = SubElement(suite, "testcase", classname="gate", name="decided")
        SubElement(test, "error", message=verdict(result))
        _count(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _clean(
        ElementTree.tostring(root, encoding="unicode") + "\n"
    )


def _test(suite: Element, group: str, name: str, new: Iterable[Change], report: Path) -> None:
    test = SubElement(suite, "testcase", classname=group, name=name)
    worse = [change for change in new if change.worse]
    waived = [change for change in new if change.waived]
    if worse:
        kinds = "; ".join(named(change.kind) for change in worse)
        failure = SubElement(test, "failure", type="new in the candidate", message=_clean(kinds))
        failure.text = _clean("\n\n".join(_story(change, report) for change in worse))
    elif waived:
        SubElement(test, "skipped", message=_clean("; ".join(c.waived for c in waived)))


def _story(change: Change, report: Path) -> str:
    lines = [named(change.kind), change.example, where(change, report)]
    lines += [f"{name}: {said}" for name, said in told(change)]
    return "\n".join(lines)


def _count(suite: Element) -> None:
    tests = suite.findall("testcase")
    suite.set("tests", str(len(tests)))
    for name in ("failure", "error", "skipped"):
        count = sum(test.find(name) is not None for test in tests)
        suite.set({"failure": "failures", "error": "errors"}.get(name, name), str(count))


def _clean(words: str) -> str:
    """Without the characters that XML cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", words)
