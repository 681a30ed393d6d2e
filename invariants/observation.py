"""`Observation`: what a framework did, at each recorded point of a program, to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays have the same dtype, shape and bytes; NaN equals itself, 0 is not -0."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


#: How a process that runs a case may end in the middle of it: the kinds of an error that no
#: exception is.
CRASHED, HUNG, KILLED, EXITED = DEATHS = ("Crashed", "Hung", "Killed", "Exited")

#: The kind of the error of a case that was not run: a part of it is not in the release.
NOT_OFFERED = "NotOffered"


@dataclass(frozen=True)
class Raised:
    """An exception: the name of its type and its message; or a death, one of DEATHS.

    lines: the lines of the script that it came through, the innermost first. of_the_line: whether
    it is about what the innermost of them writes, not about what a framework goes on to do: no
    other code stands between, save a lookup in a module or a constructor that passes its arguments
    on.
    """

    kind: str
    message: str
    lines: tuple[str, ...] = ()
    of_the_line: bool = False


#: What the random layers of a forward pass drew: the path of a layer -> its output for an input of
#: ones, one array of shape (N, *spec.shape) for each call.
Draws = Mapping[str, tuple[Array, ...]]


def same_draws(a: Mapping[int, Draws], b: Mapping[int, Draws]) -> bool:
    """Whether random layers drew the same at every action."""
    return a.keys() == b.keys() and all(_same(a[action], b[action]) for action in a)


def _same(a: Draws, b: Draws) -> bool:
    return a.keys() == b.keys() and all(
        len(a[path]) == len(b[path])
        and all(same_bits(x, y) for x, y in zip(a[path], b[path], strict=True))
        for path in a
    )


@dataclass(frozen=True)
class ObservedPoint:
    """What was there after one action; names and layouts are canonical.

    action: its number in the program, -1 right after the weights were loaded.
    weights: every parameter of the architecture, states and constants included.
    gradients: None where the framework gave none; also "input_N" where the case asks for it.
    slots: what the optimizer keeps for each weight, by the framework's own slot names.
    averages: the averages of weights and states, where the case asks for them.
    """

    action: int
    weights: Mapping[str, Array]
    loss: Array | None = None
    gradients: Mapping[str, Array | None] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)
    slots: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    averages: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """A whole run of one case on one backend.

    errors: by action, -1 for what stands outside of all. warnings: by action, (type name, message).
    draws: by action, for the first forward pass of each batch size, where every draw is known.
    """

    backend: str
    points: tuple[ObservedPoint, ...]
    errors: Mapping[int, Raised]
    warnings: Mapping[int, tuple[tuple[str, str], ...]]
    draws: Mapping[int, Draws] = field(default_factory=dict)

    def at(self, action: int) -> ObservedPoint | None:
        """The point recorded by `action`, or None where it recorded none."""
        return next((point for point in self.points if point.action == action), None)
