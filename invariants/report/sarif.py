"""What a gate has found as SARIF 2.1.0, for code scanning: what the candidate shows.

New is an error, what the baseline could not be judged on a warning, what both have a note; what a
team waives is suppressed. What is gone is none of the candidate's, and left out.
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from invariants.gate.change import Change, Kind
from invariants.gate.result import Result
from invariants.report.gate import advice, file, named, title, verdict

_LEVELS = {"new": "error", "unmasked": "warning", "both": "note"}
_STATES = {"new": "new", "unmasked": "new", "both": "unchanged"}

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def text(result: Result, report: Path) -> str:
    """The text of the file; `report` is the folder of the result."""
    changes = [change for change in result.changes if change.candidate]
    changes = [change for change in changes if change.status in _LEVELS]
    rules = {change.kind.rule: change.kind for change in changes}
    order = {name: number for number, name in enumerate(rules)}
    invocation: dict[str, Any] = {"executionSuccessful": not result.interrupted}
    if result.interrupted:
        note = {"level": "error", "message": {"text": verdict(result)}}
        invocation["toolExecutionNotifications"] = [note]
    run = {
        "tool": {
            "driver": {
                "name": "invariants",
                "version": metadata.version("freeze-invariants"),
                "rules": [_rule(name, kind) for name, kind in rules.items()],
            }
        },
        "invocations": [invocation],
        "results": [_result(change, order[change.kind.rule], report) for change in changes],
        "properties": {"verdict": result.verdict},
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1) + "\n"


def _rule(name: str, kind: Kind) -> dict[str, Any]:
    told = title(kind.issue) or name.replace("_", " ")
    rule: dict[str, Any] = {"id": name, "shortDescription": {"text": told}}
    if advised := [f"{name}: {said}" for name, said in advice(kind.issue)]:
        rule["help"] = {"text": "\n".join(advised)}
    return rule


def _uri(path: Path) -> str:
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _result(change: Change, rule: int, report: Path) -> dict[str, Any]:
    path = file(change, report)
    kind = change.kind
    key = "\n".join((kind.backend, kind.property_, kind.issue, kind.what))
    result: dict[str, Any] = {
        "ruleId": kind.rule,
        "ruleIndex": rule,
        "level": _LEVELS[change.status],
        "baselineState": _STATES[change.status],
        "message": {"text": f"{kind.backend}: {named(kind)}: {change.example}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(path)},
                    "region": {"startLine": 1},
                }
            }
        ],
        "partialFingerprints": {"kind/v1": hashlib.sha256(key.encode()).hexdigest()},
        "properties": {
            "severity": change.severity,
            "cases": {"baseline": len(change.baseline), "candidate": len(change.candidate)},
        },
    }
    if change.waived:
        accepted = {"kind": "external", "status": "accepted", "justification": change.waived}
        result["suppressions"] = [accepted]
    return result
