"""Rules that take a weight for a matrix, or a stack of matrices, as the framework lays it out."""

from __future__ import annotations

import math

from invariants.oracle.optimizers.adam import adam
from invariants.oracle.optimizers.base import (
    Turn,
    Update,
    average,
    decayed,
    held,
    larger,
    least,
    norm,
    slot,
    squared,
    straddled,
)
from invariants.oracle.tape import Tape, Value


def _rms(x: Value) -> Value:
    return _root_mean(x.apply("square"))


def _root_mean(squares: Value) -> Value:
    return squares.mean(tuple(range(-len(squares.shape), 0))).apply("sqrt")


def _rows_and_columns(
    w: Value, squares: Value, turn: Turn, keep: float
) -> tuple[Value, dict[str, Value]]:
    """The second moment as an outer product of its means by row and by column, and these two."""
    rows = average(slot(w, turn, "rows"), squares.mean(-1, keepdims=True), keep)
    columns = average(slot(w, turn, "columns"), squares.mean(-2, keepdims=True), keep)
    total = rows.mean(-2, keepdims=True)
    if turn.contract["adafactor_floor"] == "clamped":
        total = larger(total, w.tape.lift(turn.o.floor))
        return rows * columns / total, {"rows": rows, "columns": columns}
    return rows / total * columns, {"rows": rows, "columns": columns}


def adafactor(w: Value, g: Value, turn: Turn) -> Update:
    """Shazeer & Stern 2018, arXiv 1804.04235, Algorithms 4 and 5 with relative step sizes.

    The floor is added to the squares (Keras, as in the paper), or the root of the second moment is
    clamped at it (torch).
    """
    o, t, lift = turn.o, turn.t, w.tape.lift
    clamped = turn.contract["adafactor_floor"] == "clamped"
    before, (w, g) = w, decayed(w, g, turn, decoupled=True)
    scale = larger(_rms(before if clamped else w), lift(held(o.least_scale, turn.contract)))
    rate = scale * least(o.learning_rate, 1.0 / math.sqrt(t))
    g = straddled(g, turn)
    each = squared(g, turn)
    squares = each if clamped else each + o.floor
    keep = 1.0 - t**o.decay_power
    if len(w.shape) > 1:
        v, after = _rows_and_columns(w, squares, turn, keep)
    else:
        v = average(slot(w, turn, "v"), squares, keep)
        after = {"v": v}
    root = larger(v, lift(o.floor**2)) if clamped else v
    update = root.apply("rsqrt") * g if clamped else g / root.apply("sqrt")
    size = _root_mean(each / v) if turn.by_lookup else _rms(update)
    factor = rate / larger(size / o.threshold, lift(1.0))
    return w - update * factor, after


def _of_length_one(x: Value, turn: Turn) -> Value:
    """x over its Frobenius norm, with a floor as the contract has it."""
    clamped = turn.contract["muon_floor"] == "clamped"
    return x / (larger(norm(x), x.tape.lift(turn.o.floor)) if clamped else norm(x) + turn.o.floor)


def _orthogonal(x: Value, turn: Turn) -> Value:
    """Newton and Schulz's iteration: singular values near 1, singular vectors as they are.

    The coefficients are Jordan's.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[0] > x.shape[1]
    x = _of_length_one(x.apply("transpose", axes=(1, 0)) if tall else x, turn)
    for _ in range(turn.o.newton_steps):
        gram = x @ x.apply("transpose", axes=(1, 0))
        x = x * a + (gram * b + gram * c @ gram) @ x
    return x.apply("transpose", axes=(1, 0)) if tall else x


def muon(w: Value, g: Value, turn: Turn) -> Update:
    """Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; AdamW for what is no matrix.

    Which weights count as matrices, in which dtype they are made orthogonal and how long the step
    is, the contract says.
    """
    o, contract = turn.o, turn.contract
    excluded = contract["muon_excludes"]
    if len(w.shape) != 2 or (excluded and excluded in turn.name):
        return adam(w, g, turn, decoupled=True)
    w, g = decayed(w, g, turn, decoupled=True)
    if contract["muon_momentum"] == "averages":
        m = average(slot(w, turn, "momentum"), g, o.momentum)
        direction = average(m, g, o.momentum) if o.nesterov else m
    else:
        m = slot(w, turn, "momentum") * o.momentum + g
        direction = g + m * o.momentum if o.nesterov else m
    rows, columns = w.shape
    if contract["muon_precision"] == "bfloat16":
        narrow = Tape(w.tape.rounding.apart("bfloat16"))
        rounded = narrow.constant(narrow.rounding.disturb(direction.data))
        step = w.tape.constant(_orthogonal(rounded, turn).data)
    else:
        step = _orthogonal(direction, turn)
    if contract["muon_scale"] == "original":
        factor = math.sqrt(max(1.0, rows / columns))
    else:
        factor = 0.2 * math.sqrt(max(rows, columns))
    narrow_weight = w.tape.rounding.precision.name == "bfloat16"
    if contract["muon_buffer"] == "normalised_in_bfloat16" and narrow_weight and not o.nesterov:
        m = _of_length_one(m, turn)
    return w - step * (o.learning_rate * factor), {"momentum": m}
