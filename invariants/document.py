"""What every value that is read from a file inherits: strict types and no unknown fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
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


#: How much of what a file holds a message repeats.
ECHOED = 80


def echoed(value: Any) -> str:
    """What a file holds, as a message repeats it: as Python writes it, with an end to it."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """`text` with an end to it."""
    return text if len(text) <= ECHOED else f"{text[: ECHOED - 1]}…"


def plainly(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors in the words of a file, with what else the field may hold."""
    first, place = errors[0], _place(errors[0])
    if first["type"] == "json_invalid":
        return _said(first)
    alike = errors if len(place) < len(first["loc"]) else [first]
    allowed = dict.fromkeys(_said(error) for error in alike if _place(error) == place)
    return f"{'.'.join(shortened(str(part)) for part in place)}: {', or '.join(allowed)}"


def _place(error: Any) -> tuple[Any, ...]:
    """Where an error is, as far as the file has names: pydantic goes on with those of its types."""
    loc = error["loc"]
    return tuple(itertools.takewhile(lambda part: not (isinstance(part, str) and "[" in part), loc))


def _said(error: Any) -> str:
    """What is wrong."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "union_tag_invalid":
        what = context["discriminator"].strip("'")
        return f"unknown {what} {echoed(context['tag'])}"
    if kind in ("missing", "union_tag_not_found"):
        return "is missing" if kind == "missing" else "says not what kind it is"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return "there is no such field"
    if kind == "json_invalid":
        return f"not JSON: {context.get('error', error['msg'])}"
    said: str = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return said.removeprefix("Tuple ").replace(" after validation", "")
