"""Files written together, whole or not at all: a full disk leaves what was there before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def written(texts: Mapping[Path, str]) -> None:
    """Writes each text beside its place, then moves all of them there. Raises OSError."""
    partial = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in texts}
    try:
        for path, text in texts.items():
            partial[path].write_text(text, "utf-8", "backslashreplace")
        for path, whole in partial.items():
            whole.replace(path)
    finally:
        for left in partial.values():
            left.unlink(missing_ok=True)
