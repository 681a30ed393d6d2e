"""What is expected of a program: a point for each action that records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from invariants.oracle.rounding import Estimate

if TYPE_CHECKING:
    from invariants.freezing import Flags


@dataclass(frozen=True)
class ExpectedPoint:
    """What is expected of one action that records: all but freezing and thawing.

    Numbers are missing where the draws of a random layer are not known, or the order of its calls.
    `gradients` holds the trainable weights and "input_N" where the case asks for input gradients;
    `updates` what a step adds to each of them. `zeros` names the frozen weights that have a
    gradient of zeros, `still` those whose learning rate is 0, `masked` those of whose gradient a
    part is set to 0, with an array that is True there.
    `weights` holds those that a step may move and those that were rewritten otherwise so far;
    `rewritten` names those that this very action rewrites: a forward pass, a file, or an average
    that they become; `left` says, of those that a forward pass alone rewrites, which elements it
    leaves as they were; `averages` holds the latter, of weights and states.
    `averages_rewritten` names those that an evaluation of the averages rewrites.
    `flags` are those that it went by, `attributes` those that can be read, where they differ.
    `cast`: the formats that it rounds all weights to, one after the other; `dtype` is that of the
    model after it.
    A step is `skipped` where a scaled gradient is surely not finite, or where gradients are only
    added up: it moves nothing. `may_warn`: what it warns of where it is not skipped, and that is
    not known.
    `rounds_scalars`: it rounds what the optimizer keeps beside its slots.
    `blind`: the mode shows no gradients.
    An action that `may_raise` is judged no further where it does: so a known issue says it.
    `held` names the weights that the optimizer has been made with, None for all that are trainable;
    `optimizer` is its number; `unheld` those of the others that have a gradient, for it was made
    while they were frozen. A step that `stops_midway` raises once some weights have moved.
    `forward` says what the forward pass depended on beside weights and batch: for each layer with
    a state the version of it that was used, or a text where it was moved, and last the mode and
    what the gradient does not pass; two points with the same `forward` and the same
    `weights_version` computed the same function.
    """

    action: int
    raises: tuple[str, str] | None
    flags: Flags
    weights_version: int
    forward: tuple[Any, ...]
    dtype: str = "float64"
    cast: tuple[str, ...] = ()
    may_raise: tuple[str, str] | None = None
    skipped: bool = False
    may_warn: tuple[str, ...] = ()
    attributes: Flags | None = None
    blind: bool = False
    held: frozenset[str] | None = None
    optimizer: int = 0
    unheld: frozenset[str] = frozenset()
    stops_midway: bool = False
    idle: frozenset[str] = frozenset()
    rewritten: frozenset[str] = frozenset()
    left: Mapping[str, np.ndarray] = field(default_factory=dict)
    averages_rewritten: frozenset[str] = frozenset()
    zeros: frozenset[str] = frozenset()
    still: frozenset[str] = frozenset()
    masked: Mapping[str, np.ndarray] = field(default_factory=dict)
    warns: tuple[str, ...] = ()
    rounds_scalars: bool = False
    loss: Estimate | None = None
    gradients: Mapping[str, Estimate] = field(default_factory=dict)
    weights: Mapping[str, Estimate] = field(default_factory=dict)
    updates: Mapping[str, Estimate] = field(default_factory=dict)
    state: Mapping[str, Estimate] = field(default_factory=dict)
    averages: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def moving(self) -> tuple[str, ...]:
        """The weights that a step moves."""
        return tuple(
            name
            for name in self.flags.trainable
            if not self.skipped
            and name not in (self.idle | self.still)
            and (self.held is None or name in self.held)
        )

    @property
    def held_back(self) -> frozenset[str]:
        """The weights that no step may move: frozen, at a rate of 0, or not in the optimizer."""
        trainable = self.flags.trainable
        outside = () if self.held is None else (n for n in trainable if n not in self.held)
        return self.flags.frozen | self.still | frozenset(outside)

    @property
    def stale(self) -> tuple[str, ...]:
        """The frozen weights that a step takes along with a gradient of zeros."""
        if self.skipped:
            return ()
        return tuple(name for name in sorted(self.zeros) if name in (self.held or ()))


@dataclass(frozen=True)
class Expectation:
    """What is expected of a whole program on one backend; `points` in the order of the actions.

    ties: how many elements met a kink (relu at 0, equal maxima) exactly. idle_warnings: those that
    any action may give. asked: the points of the contract that it depends on.
    """

    backend: str
    points: tuple[ExpectedPoint, ...]
    ties: int = 0
    idle_warnings: tuple[str, ...] = ()
    asked: frozenset[str] = frozenset()


def moves(use: Any) -> bool:
    """Whether a layer's forward pass moves its state, by the layer's entry in `forward`."""
    return isinstance(use, str)
