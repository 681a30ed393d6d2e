"""What every value that is read from a file inherits: strict types and no unknown fields."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


class Document:
    """A part of a JSON document; pydantic reads these settings from the class."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", json_schema_serialization_defaults_required=True
    )


#: What JSON has no number for stands there as a text.
_UNWRITABLE = ("inf", "-inf", "nan")


def _read(value: Any) -> Any:
    return float(value) if value in _UNWRITABLE else value


def _written(value: float) -> Any:
    return value if math.isfinite(value) else repr(float(value))


Number = Annotated[
    float,
    BeforeValidator(_read),
    PlainSerializer(_written, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": [*_UNWRITABLE]}]}),
]


def plainly(error: Any) -> str:
    """One of pydantic's errors in the words of a file."""
    path = ".".join(str(part) for part in error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "union_tag_invalid":
        what = context["discriminator"].strip("'")
        return f"{path}: unknown {what} {context['tag']!r}"
    if kind in ("missing", "union_tag_not_found"):
        return f"{path}: is missing" if kind == "missing" else f"{path}: says not what kind it is"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{path}: there is no such field"
    if kind == "json_invalid":
        return f"not JSON: {context.get('error', error['msg'])}"
    return f"{path}: {error['msg'].removeprefix('Value error, ')}"
