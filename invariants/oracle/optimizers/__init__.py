"""The update rules, as each framework documents them, with the rounding of each operation.

A rule takes one weight, its gradient and its slots, and gives the weight and the slots after the
step. Where torch and Keras document different formulas, the contract says which one is meant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.limits import step_may_leave_the_range
from invariants.oracle.optimizers import accumulating, adam, descent, matrices
from invariants.oracle.optimizers.base import Rule, Turn, on
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import Rounding
from invariants.oracle.tape import Tape

Slots = dict[str, Array]

#: The optimizers that take all weights for one vector (lbfgs.Memory).
TOGETHER = ("lbfgs",)

#: The optimizers that make a weight anew of what they keep, and round it, also for a gradient of 0.
REMAKING = ("schedule_free_adamw",)

#: The optimizers to whose rules the axes of a weight mean something: they are given it as the
#: framework lays it out.
SHAPED = ("adafactor", "muon")

RULES: dict[str, Rule] = {
    "sgd": descent.sgd,
    "adam": adam.adam,
    "adamw": adam.adamw,
    "nadam": adam.nadam,
    "radam": adam.radam,
    "adamax": adam.adamax,
    "adagrad": accumulating.adagrad,
    "adadelta": accumulating.adadelta,
    "rmsprop": accumulating.rmsprop,
    "rprop": descent.rprop,
    "asgd": descent.asgd,
    "adafactor": matrices.adafactor,
    "muon": matrices.muon,
    "lion": descent.lion,
    "ftrl": accumulating.ftrl,
    "lamb": adam.lamb,
    "schedule_free_adamw": adam.schedule_free_adamw,
}


def step(
    optimizer: Any,
    contract: Contract,
    rounding: Rounding,
    weight: Array,
    gradient: Array,
    slots: Slots,
    t: int,
    lookups: Array | None = None,
    name: str = "",
    loaded_at: int | None = None,
) -> tuple[Array, Slots]:
    """One update of one weight; arrays of shape (samples or 1, ...), t counts from 1.

    The learning rate of `optimizer` is a number, or samples of one that was worked out.
    lookups: for an embedding table, the sums over its lookups (primitives.lookup_sums). name: that
    of the weight. loaded_at: the t at which the slots were first loaded from a file.
    """
    tape = Tape(rounding)
    turn = Turn(
        name=name,
        o=replace(optimizer, learning_rate=on(tape, optimizer.learning_rate)),
        contract=contract,
        slots={name: tape.constant(array) for name, array in slots.items()},
        t=t,
        loaded_at=loaded_at,
        lookups=() if lookups is None else tuple(map(tape.constant, lookups)),
    )
    w, after = RULES[optimizer.kind](tape.constant(weight), tape.constant(gradient), turn)
    if step_may_leave_the_range(tape):
        return np.full_like(w.data, np.nan), {
            n: np.full_like(v.data, np.nan) for n, v in after.items()
        }
    return w.data, {name: value.data for name, value in after.items()}
