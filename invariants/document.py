"""What every value that is read from a file inherits: strict types and no unknown fields."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict


class Document:
    """A part of a JSON document; pydantic reads these settings from the class."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")
