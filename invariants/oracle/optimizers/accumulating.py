"""Rates by element, from the squares of all gradients so far."""

from __future__ import annotations

from invariants.oracle.optimizers.base import (
    Turn,
    Update,
    average,
    decayed,
    held,
    larger,
    quotient,
    slot,
    smaller,
    squared,
    straddled,
)
from invariants.oracle.tape import Value


def _root(x: Value, turn: Turn) -> Value:
    """The root of a sum of squares with ε, under it or behind it as the contract has it."""
    if turn.contract["root_epsilon"] == "under_the_root":
        return (x + turn.o.epsilon).apply("sqrt")
    return x.apply("sqrt") + turn.o.epsilon


def adagrad(w: Value, g: Value, turn: Turn) -> Update:
    """Duchi et al. 2011, "Adaptive subgradient methods for online learning"."""
    o = turn.o
    w, g = decayed(w, g, turn)
    g = straddled(g, turn)
    total = slot(w, turn, "sum", held(o.initial_accumulator, turn.contract)) + squared(g, turn)
    rate = o.learning_rate / (1.0 + (turn.t - 1) * o.rate_decay)
    return w - g * rate / _root(total, turn), {"sum": total}


def adadelta(w: Value, g: Value, turn: Turn) -> Update:
    """Zeiler 2012, arXiv 1212.5701, Algorithm 1, the step times a learning rate."""
    o = turn.o
    w, g = decayed(w, g, turn)
    g = straddled(g, turn)
    of_g = slot(w, turn, "squares") * o.rho + squared(g, turn) * (1.0 - o.rho)
    steps = slot(w, turn, "steps")
    ratio = (steps + o.epsilon).apply("sqrt") / (of_g + o.epsilon).apply("sqrt")
    step = g * ratio
    squares = squared(g, turn) * ratio * ratio if turn.by_lookup else step.apply("square")
    steps = steps * o.rho + squares * (1.0 - o.rho)
    return w - step * o.learning_rate, {"squares": of_g, "steps": steps}


def rmsprop(w: Value, g: Value, turn: Turn) -> Update:
    """Hinton 2012, Neural Networks for Machine Learning, lecture 6e.

    centered: Graves 2013, arXiv 1308.0850, equations 38 to 45. What the momentum adds up, steps or
    what is to be multiplied by the rate, the contract says.
    """
    o = turn.o
    w, g = decayed(w, g, turn)
    g = straddled(g, turn)
    v = slot(w, turn, "v") * o.rho + squared(g, turn) * (1.0 - o.rho)
    after = {"v": v}
    if o.centered:
        after["mean"] = average(slot(w, turn, "mean"), g, o.rho)
        v = v - after["mean"].apply("square")
    root = _root(v, turn)
    if not o.momentum:
        return w - g * o.learning_rate / root, after
    velocity = turn.contract["rmsprop_momentum"] == "velocity"
    step = g / root if velocity else g * o.learning_rate / root
    after["momentum"] = slot(w, turn, "momentum") * o.momentum + step
    return w - after["momentum"] * (o.learning_rate if velocity else 1.0), after


def ftrl(w: Value, g: Value, turn: Turn) -> Update:
    """McMahan et al. 2013, "Ad click prediction: a view from the trenches", Algorithm 1.

    With L2 shrinkage and β as documented for keras.optimizers.Ftrl; the power of the rate is -½.
    """
    o, lift = turn.o, w.tape.lift
    w, g = decayed(w, g, turn)
    old = slot(w, turn, "sum", held(o.initial_accumulator, turn.contract))
    new = old + squared(g, turn)
    shrunk = g + w * (2.0 * o.shrinkage)
    sigma = (new.apply("sqrt") - old.apply("sqrt")) / o.learning_rate
    z = slot(w, turn, "linear") + (shrunk - sigma * w)
    curvature = new.apply("sqrt") / o.learning_rate + (
        quotient(o.beta, o.learning_rate) + 2.0 * o.l2
    )
    clipped = larger(smaller(z, lift(o.l1)), lift(-o.l1))
    return (clipped - z) / curvature, {"sum": new, "linear": z}
