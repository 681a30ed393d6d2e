"""The update rules, as each framework documents them, with the rounding of each operation.

A rule takes one weight, its gradient and its slots, and gives the weight and the slots after the
step. Where torch and Keras document different formulas, the contract says which one is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import Rounding
from invariants.oracle.tape import Tape, Value

Slots = dict[str, Array]
Update = tuple[Value, dict[str, Value]]


def _held(number: float, contract: Contract) -> float:
    """A hyperparameter as the framework holds it before it computes in the weight's dtype."""
    return float(np.float32(number)) if contract["optimizer_constants"] == "float32" else number


def sgd(
    w: Value, g: Value, slots: Mapping[str, Value], o: Any, contract: Contract, t: int
) -> Update:
    """Sutskever et al. 2013, "On the importance of initialization and momentum"."""
    if o.weight_decay:
        if contract["weight_decay"] == "coupled":
            g = g + w * o.weight_decay
        else:
            w = w - w * o.weight_decay * o.learning_rate
    if not o.momentum:
        return w - g * o.learning_rate, {}
    momentum = _held(o.momentum, contract)
    previous = slots.get("momentum")
    if contract["sgd_momentum"] == "velocity":
        velocity = g if previous is None else previous * momentum + g
        return w - velocity * o.learning_rate, {"momentum": velocity}
    step = g * -o.learning_rate
    if previous is not None:
        step = previous * momentum + step
    return w + step, {"momentum": step}


def adam(
    w: Value, g: Value, slots: Mapping[str, Value], o: Any, contract: Contract, t: int
) -> Update:
    """Kingma & Ba 2015, arXiv 1412.6980; ε and the step count t as the contract has them."""
    lift = w.tape.lift
    # The first step moves by the sign of the gradient: 0 is a kink of the update.
    g = w.tape.apply("straddle_zero", g, turn=len(w.tape.values) + t)
    m, v = slots.get("m", lift(0.0)), slots.get("v", lift(0.0))
    m = m + (g - m) * (1.0 - o.beta_1)
    squares = g.apply("square")
    if contract["sparse_second_moment"] == "sum_of_squares" and "lookup_squares" in slots:
        squares = slots["lookup_squares"]
    v = v + (squares - v) * (1.0 - o.beta_2)
    after = {"m": m, "v": v}
    if contract["adam_epsilon"] == "after_correction":
        denominator = v.apply("sqrt") / math.sqrt(1.0 - o.beta_2**t) + o.epsilon
        return w - m * (o.learning_rate / (1.0 - o.beta_1**t)) / denominator, after
    # Keras works out 1 - β^t in the variable's dtype, where it cancels.
    corrections = []
    for beta in (o.beta_1, o.beta_2):
        power = base = lift(_held(beta, contract))
        for _ in range(t - 1):
            power = power * base
        corrections.append(lift(1.0) - power)
    alpha = corrections[1].apply("sqrt") * o.learning_rate / corrections[0]
    return w - m * alpha / (v.apply("sqrt") + o.epsilon), after


def adamw(
    w: Value, g: Value, slots: Mapping[str, Value], o: Any, contract: Contract, t: int
) -> Update:
    """Loshchilov & Hutter 2019, arXiv 1711.05101: w ← w - lr·λ·w, then Adam."""
    return adam(w - w * o.weight_decay * o.learning_rate, g, slots, o, contract, t)


RULES: dict[str, Callable[..., Update]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
}


def step(
    optimizer: Any,
    contract: Contract,
    rounding: Rounding,
    weight: Array,
    gradient: Array,
    slots: Slots,
    t: int,
    lookup_squares: Array | None = None,
) -> tuple[Array, Slots]:
    """One update of one weight; arrays of shape (samples or 1, ...), t counts from 1.

    lookup_squares: for an embedding table, the sum over its lookups of the squared gradient.
    """
    tape = Tape(rounding)
    held = {name: tape.constant(array) for name, array in slots.items()}
    if lookup_squares is not None:
        held["lookup_squares"] = tape.constant(lookup_squares)
    rule = RULES[optimizer.kind]
    w, after = rule(tape.constant(weight), tape.constant(gradient), held, optimizer, contract, t)
    return w.data, {name: value.data for name, value in after.items()}
