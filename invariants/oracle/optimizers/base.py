"""What the update rules share: hyperparameters, decay, kinks and squares.

A rule is a function of the weight w, its gradient g and a `Turn`; it gives the weight and the slots
after the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import SAMPLES
from invariants.oracle.tape import Tape, Value

Update = tuple[Value, dict[str, Value]]


@dataclass(frozen=True)
class Turn:
    """One turn of an optimizer at one weight: all that the update depends on beside w and g.

    o: the optimizer, its learning rate being that of the weight now, a value under a schedule. t:
    counts from 1. lookups: for an embedding table, the sums over its lookups of the gradient's
    squares and of its sizes. loaded_at: the t at which the state was first loaded from a file.
    """

    o: Any
    contract: Contract
    name: str
    slots: Mapping[str, Value]
    t: int
    lookups: tuple[Value, ...] = ()
    loaded_at: int | None = None

    @property
    def by_lookup(self) -> bool:
        """Whether a function of the gradient is that of each lookup, added up."""
        return bool(self.lookups) and self.contract["sparse_second_moment"] == "sum_of_squares"


Rule = Callable[[Value, Value, Turn], Update]


def held(number: float, contract: Contract) -> float:
    """A hyperparameter as the framework holds it before it computes in the weight's dtype."""
    return float(np.float32(number)) if contract["optimizer_constants"] == "float32" else number


def on(tape: Tape, rate: float | Array) -> float | Value:
    """A learning rate for the rules: a number as it is, samples as a value."""
    return tape.constant(rate) if isinstance(rate, np.ndarray) else rate


def number(rate: float | Value) -> float | Array:
    """A learning rate for what is not worked out in the dtype of the weight."""
    return rate.data if isinstance(rate, Value) else rate


def opposite(rate: float | Value) -> float | Value:
    """-rate, which rounds nothing."""
    return rate.tape.constant(-rate.data) if isinstance(rate, Value) else -rate


def least(rate: float | Value, limit: float) -> float | Value:
    """The smaller one of a learning rate and a number."""
    return smaller(rate, rate.tape.lift(limit)) if isinstance(rate, Value) else min(rate, limit)


def quotient(number: float, rate: float | Value) -> float | Value:
    """A number divided by a learning rate."""
    return rate.tape.lift(number) / rate if isinstance(rate, Value) else number / rate


def exactly(w: Value, number: float | Array) -> Value:
    """A number that is worked out and kept as accurately as the weight, or its samples."""
    return w.tape.constant(number) if isinstance(number, np.ndarray) else w.tape.lift(number)


def coarse(w: Value, number: float | Array) -> Value:
    """A number that an implementation computes and keeps in float32, whatever the weight's dtype.

    Three ulps are a power, a product and a quotient.
    """
    rounding = w.tape.rounding.apart("float32")
    return w.tape.constant(rounding.disturb(np.full(SAMPLES + 1, number), 3.0))


def decayed(w: Value, g: Value, turn: Turn, decoupled: bool = False) -> tuple[Value, Value]:
    """Weight and gradient once λ·w has joined the gradient, or lr·λ·w has left the weight."""
    decay = turn.o.weight_decay
    if not decay:
        return w, g
    if turn.contract["weight_decay"] == "coupled" and not decoupled:
        return w, g + w * decay
    return w - w * held(decay, turn.contract) * turn.o.learning_rate, g


def slot(w: Value, turn: Turn, name: str, start: float = 0.0) -> Value:
    """What is remembered, or what it starts at."""
    return turn.slots.get(name, w.tape.lift(start))


def straddled(g: Value, turn: Turn) -> Value:
    """A gradient whose sign an update goes by, as the first step of Adam does: 0 is a kink."""
    return g.tape.apply("straddle_zero", g, turn=len(g.tape.values) + turn.t)


def squared(g: Value, turn: Turn) -> Value:
    """g², or what the contract makes of it for a table whose rows are looked up repeatedly."""
    return turn.lookups[0] if turn.by_lookup else g.apply("square")


def size(g: Value, turn: Turn) -> Value:
    """|g|, or what the contract makes of it for a table whose rows are looked up repeatedly."""
    return turn.lookups[1] if turn.by_lookup else g.apply("absolute")


def average(old: Value, new: Value, beta: float) -> Value:
    """β·old + (1 - β)·new."""
    return old + (new - old) * (1.0 - beta)


def power(base: Value, exponent: int) -> Value:
    """A power that an implementation works out in the weight's dtype."""
    result = base
    for _ in range(exponent - 1):
        result = result * base
    return result


def one_less(w: Value, beta: float, exponent: int, contract: Contract) -> Value:
    """1 - β^t in the weight's dtype, where it cancels.

    A β that is 1 in that dtype would leave 0. The contract says whether it is taken as it was given
    then, or whether nothing is known of what comes of that 0.
    """
    lift = w.tape.lift
    if 1.0 - beta < w.tape.rounding.precision.unit_roundoff / 2.0:
        counts = contract["beta_that_rounds_to_1"] == "counts"
        return lift(1.0 - beta**exponent if counts else math.nan)
    return lift(1.0) - power(lift(beta), exponent)


def by_sign(s: Value, above: Value, at: Value, below: Value) -> Value:
    """One of three by a sign that is -1, 0 or 1."""
    return s.tape.apply("by_sign", s, above, at, below)


def smaller(a: Value, b: Value) -> Value:
    return a.tape.apply("minimum", a, b)


def larger(a: Value, b: Value) -> Value:
    return a.tape.apply("maximum", a, b)


def norm(x: Value) -> Value:
    """The root of the sum of all squares."""
    return x.apply("square").sum(tuple(range(-len(x.shape), 0))).apply("sqrt")
