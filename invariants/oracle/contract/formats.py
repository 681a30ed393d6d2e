"""In which of two formats a layer computes, where a mode has a lower one beside that of weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Formats:
    """The formats of one layer; True stands for the lower one.

    inputs: those that its inputs are cast to, one after the other. weights: whether it takes its
    weights in the lower format. inside: what it computes in. outside: what it puts out.
    """

    inputs: tuple[bool, ...]
    weights: bool
    inside: bool
    outside: bool
