"""What keeps a gate from being decided, or one of its sides from going on."""

from __future__ import annotations


class GateError(Exception):
    """Something that a gate cannot go on with; one line says what, and exit code 2 follows."""


class Stopped(Exception):
    """A side is not gone on with: the other one has failed, or the user has had enough."""
