"""What keeps a gate from being decided."""

from __future__ import annotations


class GateError(Exception):
    """Something that a gate cannot go on with; one line says what, and exit code 2 follows."""
