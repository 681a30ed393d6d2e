"""L-BFGS, which takes all weights for one vector and remembers how gradient and weights moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from invariants.oracle.limits import step_may_leave_the_range
from invariants.oracle.optimizers.base import on, smaller
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import LAMBDA, Rounding, estimate
from invariants.oracle.tape import Tape, Value

#: torch.optim.LBFGS, by default: the least curvature of a pair, the least change of weights or loss
#: (and slope) that it goes on for, and the least gradient.
_LEAST_CURVATURE = 1e-10
_LEAST_CHANGE = 1e-9
_LEAST_GRADIENT = 1e-7


class _UndecidedError(Exception):
    """Two implementations may go on differently: from here on nothing is known."""


def flat(arrays: Sequence[Array]) -> Array:
    """Arrays of shape (samples or 1, ...) as one of shape (samples or 1, n)."""
    samples = max(array.shape[0] for array in arrays)
    rows = [array.reshape(array.shape[0], -1) for array in arrays]
    return np.concatenate([np.broadcast_to(r, (samples, r.shape[1])) for r in rows], axis=1)


def _exceeds(x: Value, least: float) -> bool:
    """Whether a number is above a threshold; raises where rounding may decide it."""
    found = estimate(x.data, x.tape.rounding)
    if not np.abs(found.value - least) > LAMBDA * found.spread:
        raise _UndecidedError
    return bool(found.value > least)


def _dot(a: Value, b: Value) -> Value:
    return (a * b).sum(-1)


def _largest(vector: Value) -> Value:
    """The largest absolute value of a vector."""
    size = vector.data.shape[-1]
    return vector.apply("absolute").reshape(size, 1).apply("max", tie="first").reshape()


@dataclass
class Memory:
    """What L-BFGS keeps from one iteration to the next; `steps` counts those that it has made.

    moved: whether the last one has moved the weights. lost: rounding may have decided what it did.
    """

    steps: int = 0
    moved: bool = False
    lost: bool = False
    direction: Array | None = None
    rate: Array | None = None
    gradient: Array | None = None
    scale: Array | None = None
    pairs: list[tuple[Array, Array, Array]] = field(default_factory=list)

    def step(self, o: Any, rounding: Rounding, weights: Array, gradient: Array) -> Array:
        """The weights after an iteration without line search (Nocedal & Wright 2006, Algorithm 7.4,
        as documented for torch.optim.LBFGS and minFunc).
        """
        if not self.lost:
            try:
                tape = Tape(rounding)
                after = self._step(o, tape, weights, gradient)
                self.lost = step_may_leave_the_range(tape)
            except _UndecidedError:
                self.lost = True
            if not self.lost:
                return after
        return np.full_like(weights, np.nan)

    def _step(self, o: Any, tape: Tape, weights: Array, gradient: Array) -> Array:
        self.moved = False
        w, g = tape.constant(weights), tape.constant(gradient)
        if not _exceeds(_largest(g), _LEAST_GRADIENT):
            return weights
        self.steps += 1
        rate = tape.lift(on(tape, o.learning_rate))
        if self.steps == 1:
            size = g.apply("absolute").sum(-1)
            rate = smaller(tape.lift(1.0), tape.lift(1.0) / size) * rate
            d = g * -1.0
        else:
            d = self._turned(o, tape, g)
        self.direction, self.rate, self.gradient = d.data, rate.data, gradient
        if not _exceeds(_dot(g, d) * -1.0, _LEAST_CHANGE):
            return weights
        self.moved = True
        return (w + d * rate).data

    def goes_on(self, rounding: Rounding, gained: Array, gradient: Array) -> bool:
        """Whether there is a further iteration where the loss has been evaluated after the last.

        There is none at an optimum, nor where weights or loss have hardly moved. gained: by how
        much the loss has, worked out exactly from what it was rounded to. gradient: as it is now.
        """
        tape = Tape(rounding)
        gain, move = tape.constant(gained), tape.constant(np.asarray(self.direction))
        move = move * tape.constant(np.asarray(self.rate))
        try:
            return (
                _exceeds(_largest(tape.constant(gradient)), _LEAST_GRADIENT)
                and _exceeds(_largest(move), _LEAST_CHANGE)
                and (_exceeds(gain, _LEAST_CHANGE) or _exceeds(gain * -1.0, _LEAST_CHANGE))
            )
        except _UndecidedError:
            self.lost = True
            return False

    def _turned(self, o: Any, tape: Tape, g: Value) -> Value:
        """The direction: -g times the inverse Hessian as the pairs have it."""
        held = [self.direction, self.rate, self.gradient]
        direction, rate, before = (tape.constant(np.asarray(array)) for array in held)
        y, s = g - before, direction * rate
        curvature = _dot(y, s)
        if _exceeds(curvature, _LEAST_CURVATURE):
            self.pairs.append((y.data, s.data, (tape.lift(1.0) / curvature).data))
            self.pairs = self.pairs[-o.history :]
            self.scale = (curvature / _dot(y, y)).data
        pairs = [tuple(map(tape.constant, pair)) for pair in self.pairs]
        q, steps = g * -1.0, []
        for y, s, inverse in reversed(pairs):
            steps.append(_dot(s, q) * inverse)
            q = q - y * steps[-1]
        r = q * (tape.lift(1.0) if self.scale is None else tape.constant(self.scale))
        for (y, s, inverse), step in zip(pairs, reversed(steps), strict=True):
            r = r + s * (step - _dot(y, r) * inverse)
        return r
