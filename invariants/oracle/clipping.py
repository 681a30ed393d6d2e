"""Gradient clipping, as each framework documents it, with the rounding of each operation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.limits import beyond
from invariants.oracle.optimizers.base import by_sign
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import PRECISIONS, Rounding
from invariants.oracle.tape import Tape, Value


def clipped(
    clip: Any,
    contract: Contract,
    rounding: Rounding,
    gradients: Mapping[str, Array],
    tables: Collection[str],
) -> dict[str, Array]:
    """The gradients, by weight, once they are clipped; tables: those that are of lookups."""
    if not gradients:
        return {}
    tape = Tape(rounding)
    values = {name: tape.constant(array) for name, array in gradients.items()}
    groups = [list(values)] if clip.kind == "global_norm" else [[name] for name in values]
    after: dict[str, Array] = {}
    for names in groups:
        if clip.kind == "value":
            limited = [_between(values[name], tape.lift(clip.limit)) for name in names]
        else:
            limited = _scaled([values[name] for name in names], clip, contract)
        unknown = contract["clipped_table"] == "unknown" and any(name in tables for name in names)
        for name, value in zip(names, limited, strict=True):
            after[name] = np.full_like(value.data, np.nan) if unknown else value.data
    return after


def _between(g: Value, limit: Value) -> Value:
    """g, but at most the limit and at least its negative; where rounding decides, either."""
    g = by_sign((g - limit).apply("sign"), limit, g, g)
    return by_sign((g + limit).apply("sign"), g, g, limit * -1.0)


def _scaled(gs: Sequence[Value], clip: Any, contract: Contract) -> list[Value]:
    """Gradients whose common norm is at most the limit."""
    lift = gs[0].tape.lift
    limit, one = lift(clip.limit), lift(1.0)
    sums = [g.apply("square").sum(tuple(range(-len(g.shape), 0))) for g in gs]
    if contract["clip_factor"] == "clamped":
        total = _root([s.apply("sqrt").apply("square") for s in sums])
        factor = limit / (total + 1e-6)
        below = (factor - one).apply("sign")
        return [by_sign(below, g, g, g * factor) for g in gs]
    total = _root(sums, whole=True)
    above = (total - limit).apply("sign")
    if clip.kind == "norm":
        return [g * limit / by_sign(above, total, limit, limit) for g in gs]
    factor = limit * by_sign(above, one / total, one / limit, one / limit)
    return [g * factor for g in gs]


def _root(squares: Sequence[Value], whole: bool = False) -> Value:
    """The root of a sum; not known where an implementation may leave the range of its dtype.

    whole: the sum is in the dtype itself, not in float32 where that is wider.
    """
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    root = total.apply("sqrt")
    own = root.tape.rounding.precision
    kept = own if whole else max(own, PRECISIONS["float32"], key=lambda held: held.largest)
    if beyond(total.data, kept.largest / 4.0) or beyond(root.data, own.largest / 4.0):
        root.data = np.full_like(root.data, np.nan)
    return root
