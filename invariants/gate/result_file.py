"""The result of a gate as a file: what every report is made from, and nothing else.

The schema is that of `Result`: `python -m invariants.gate.result_file > docs/result.schema.json`. A
file is checked whole before anything is made of it, and nothing in it is executed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from invariants.document import plainly
from invariants.gate.errors import GateError
from invariants.gate.result import Result

#: Of the file; one of another schema is refused by name.
SCHEMA = 2


@cache
def _adapter() -> TypeAdapter[Result]:
    return TypeAdapter(Result)


def text(result: Result) -> str:
    """The text of the file: the same for the same result."""
    document = _adapter().dump_python(result, mode="json", by_alias=True)
    first = {name: document[name] for name in ("schema", "verdict")}
    return json.dumps({**first, **document}, indent=1, allow_nan=False) + "\n"


def parsed(text: str | bytes) -> Result:
    """The result that a text holds; raises ValueError with one line."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(document, dict) or "verdict" not in document:
        raise ValueError("not the result of a gate")
    if document.get("schema") != SCHEMA:
        raise ValueError(
            f"this version reads schema {SCHEMA}, the file has {document.get('schema')!r}"
        )
    verdict = document.pop("verdict")
    try:
        result = _adapter().validate_json(json.dumps(document))
    except ValidationError as error:
        raise ValueError(plainly(error.errors(include_url=False))) from None
    if verdict != result.verdict:
        raise ValueError(f"verdict: it says {verdict!r}, what it rests on {result.verdict!r}")
    return result


def read(path: Path) -> Result:
    """The result in a file, or in the folder of a report; raises GateError, naming the file."""
    path = path / "result.json" if path.is_dir() else path
    try:
        return parsed(path.read_bytes())
    except OSError as error:
        raise GateError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise GateError(f"{path}: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON schema of a result file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_adapter().json_schema(by_alias=True, mode="serialization"),
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1))
