"""A parameter that is frozen over a stretch of the program has the same bits after it.

So has one that the objective does not depend on. Constants are never trained. A gradient alone
moves nothing, trainable or not. Where the contract says that a forward pass itself rewrites a
weight, or that a step replaces one by its average, it is what that makes of it. A gradient of zeros
that the program left in place lets the optimizer move a frozen weight on, so does one that a mask
made of zeros, a file may hold it merged with others, and a mode may go by flags that have changed
since: as documented, these are hazards. So is a forward pass that rewrites a weight whatever is
frozen; the elements that it has no cause to touch keep their bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from invariants.case import cast
from invariants.finding import Finding
from invariants.hazards import (
    AVERAGED,
    COMPILED,
    MASKED,
    MERGED,
    RENORMALISED,
    TRACED,
    ZEROS,
    Hazard,
    of_old_flags,
)
from invariants.observation import Array, ObservedPoint, same_bits
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.rounding import LAMBDA
from invariants.properties.evidence import Evidence, kept


def judge(evidence: Evidence) -> Iterator[Finding]:
    parameters = evidence.case.architecture.parameters
    casts = {point.action: point.cast for point in evidence.expectation.points}
    for before, after in evidence.consecutive():
        through = casts.get(after.action, ())
        steps = list(evidence.steps_between(before.action, after.action))
        moving = {name for point in steps for name in point.moving}
        rewritten = evidence.rewritten_between(before.action, after.action)
        stale = {name for point in steps for name in point.stale} - moving
        yield from _rewritten(evidence, before, after, rewritten - moving, stale)
        yield from _by_old_flags(evidence, before, after, steps)
        for point in steps:
            for name in point.masked.keys() & {*point.moving} - rewritten:
                yield from _masked(evidence, before, after, point, name)
        for name, parameter in parameters.items():
            if parameter.role == "state" or name in moving or name in rewritten:
                continue
            old, new = before.weights[name], after.weights[name]
            if not kept(old, through, new) and not _has_no_product(name, steps, after):
                yield Finding(
                    property_="frozen_weights",
                    backend=evidence.backend,
                    action=after.action,
                    subject=name,
                    message=f"{name} is not the nearest number of its new dtype"
                    if through
                    else f"{name} {_why(name, steps)} and has changed",
                    field="weights",
                    **how_it_differs(old, through, new, before.action),
                )


def _rewritten(
    evidence: Evidence,
    before: ObservedPoint,
    after: ObservedPoint,
    names: frozenset[str],
    stale: set[str],
) -> Iterator[Finding]:
    """Those of the rewritten weights that are not what forward passes and files make of them.

    Of the frozen ones that a gradient of zeros or a file lets move, the ones that do.
    """
    loaded = evidence.reloading(after.action)
    expected = next((p for p in evidence.expectation.points if p.action == after.action), None)
    for name in sorted(names):
        old, new = before.weights[name], after.weights[name]
        stays = same_bits(old, new)
        if name in stale and stays:
            continue
        found = evidence.held.get((after.action, name))
        left = evidence.left_between(before.action, after.action, name)
        if expected is None or found is None or found.spreads.max(initial=0.0) <= LAMBDA:
            if found is not None and left is not None and (left & (old != new)).any():
                yield Finding(
                    property_="frozen_weights",
                    backend=evidence.backend,
                    action=after.action,
                    subject=name,
                    message=f"{name} has changed where its layer's forward pass leaves it",
                    relation="same_bits",
                    field="weights",
                    earlier=before.action,
                    **first_difference(old, np.where(left, new, old)),
                )
            elif name in stale and left is None:
                yield _hazard(evidence, before, after, name, ZEROS)
            elif stays or expected is None or name not in expected.held_back:
                continue
            elif loaded and name in expected.flags.frozen:
                yield _hazard(
                    evidence, before, after, name, AVERAGED if loaded.averages else MERGED
                )
            elif not loaded and evidence.case.architecture.owner(name).rewrites_frozen:
                yield _hazard(evidence, before, after, name, RENORMALISED)
            continue
        estimate, at = expected.weights[name], found.worst
        maker = "a file" if loaded and loaded.file else "its layer's forward pass or its average"
        yield Finding(
            property_="frozen_weights",
            backend=evidence.backend,
            action=after.action,
            subject=name,
            message=f"{name} was frozen and moves otherwise than zeros and the optimizer have it"
            if name in stale
            else f"{name} is not what {maker} makes of it",
            relation="within",
            field="weights",
            element=at,
            expected=float(estimate.value[at]),
            got=float(after.weights[name][at]),
            allowed=LAMBDA * float(estimate.spread[at]),
            spreads=float(found.spreads[at]),
        )


def _by_old_flags(
    evidence: Evidence, before: ObservedPoint, after: ObservedPoint, steps: list[ExpectedPoint]
) -> Iterator[Finding]:
    """The frozen weights that a step moves by flags of an earlier time."""
    hazard = of_old_flags(evidence.mode.trains_itself)
    moving = {
        name
        for point in steps
        if point.attributes
        for name in point.moving
        if name in point.attributes.acting.frozen
    }
    for name in sorted(moving):
        if not same_bits(before.weights[name], after.weights[name]):
            yield _hazard(evidence, before, after, name, hazard)


def _masked(
    evidence: Evidence,
    before: ObservedPoint,
    after: ObservedPoint,
    step: ExpectedPoint,
    name: str,
) -> Iterator[Finding]:
    """Where a step moved elements that a mask holds: a hazard if the rule of the optimizer does."""
    old, new = before.weights[name], after.weights[name]
    update, found = step.updates.get(name), evidence.held.get((after.action, name))
    if update is None or found is None or old.shape != new.shape:
        return
    moved = step.masked[name] & (old != new)
    # Decay moves whatever is not exactly 0, also what only rounding has made of a 0.
    decays = getattr(evidence.case.optimizer, "weight_decay", 0.0) != 0.0
    undue = moved & (update.value == 0.0) & (update.spread == 0.0) & (not decays)
    off = np.where(moved & ~undue, found.spreads, 0.0)
    common: dict[str, Any] = {
        "property_": "frozen_weights",
        "backend": evidence.backend,
        "action": after.action,
        "subject": name,
        "field": "weights",
    }
    if undue.any():
        yield Finding(
            **common,
            message=f"{name} has changed where a mask holds it and nothing moves it",
            relation="same_bits",
            earlier=before.action,
            **first_difference(old, np.where(undue, new, old)),
        )
    elif off.max(initial=0.0) > LAMBDA:
        at = tuple(int(i) for i in np.unravel_index(off.argmax(), off.shape))
        yield Finding(
            **common,
            message=f"{name} moves where a mask holds it otherwise than the optimizer has it",
            relation="within",
            element=at,
            expected=float(step.weights[name].value[at]),
            got=float(new[at]),
            allowed=LAMBDA * float(step.weights[name].spread[at]),
            spreads=float(off[at]),
        )
    elif moved.any():
        yield _hazard(evidence, before, after, name, MASKED, np.where(moved, new, old))


#: Why a frozen weight moves, as documented.
_MOVES = {
    ZEROS.id: "was frozen and moves on with a gradient of zeros",
    MERGED.id: "was frozen and is loaded with the update merged into it",
    AVERAGED.id: "was frozen and becomes its average",
    RENORMALISED.id: "was frozen and is renormalised by a lookup",
    MASKED.id: "moves on where its gradient is masked",
    COMPILED.id: "was frozen and moves as what the model was compiled with",
    TRACED.id: "was frozen and moves as what the function was traced with",
}


def _hazard(
    evidence: Evidence,
    before: ObservedPoint,
    after: ObservedPoint,
    name: str,
    hazard: Hazard,
    moved: Array | None = None,
) -> Finding:
    """A hazard; moved: the weight after it, where that is not all of what has changed."""
    return Finding(
        property_="frozen_weights",
        backend=evidence.backend,
        action=after.action,
        subject=name,
        message=f"{name} {_MOVES[hazard.id]}: {hazard.instead}",
        relation="same_bits",
        field="weights",
        earlier=before.action,
        severity="hazard",
        issue=hazard.id,
        **first_difference(before.weights[name], after.weights[name] if moved is None else moved),
    )


def _has_no_product(name: str, steps: list[ExpectedPoint], after: ObservedPoint) -> bool:
    """Whether a learning rate of 0 meets a gradient that is not finite: their product is NaN."""
    gradient = after.gradients.get(name)
    still = any(name in point.still for point in steps)
    return still and gradient is not None and not np.isfinite(gradient).all()


def _why(name: str, steps: list[ExpectedPoint]) -> str:
    if steps and name in steps[-1].idle:
        return "is reached by no loss"
    if steps and name in steps[-1].still:
        return "has a learning rate of 0"
    if steps and steps[-1].skipped:
        return "is in a step that makes no update"
    trainable = bool(steps) and name not in steps[-1].flags.frozen
    return "is not in the optimizer" if trainable else "was frozen"


def how_it_differs(
    before: Array, through: Sequence[str], after: Array, earlier: int
) -> dict[str, Any]:
    """What a finding says of a weight that should have kept its bits, or been cast to formats."""
    difference = first_difference(cast(before, through), after)
    if not through:
        return {"relation": "same_bits", "earlier": earlier, **difference}
    if difference["element"] is None:
        return {"relation": "dtype", **difference}
    return {"relation": "within", "allowed": 0.0, **difference}


def first_difference(before: Array, after: Array) -> dict[str, Any]:
    """What a finding says of two arrays whose bits differ: `element`, `expected` and `got`.

    The element that differs the most, or the first whose bits do; none where the arrays are not of
    one kind.
    """
    if before.shape != after.shape:
        shapes = [f"shape {list(array.shape)}" for array in (before, after)]
        return {"element": None, "expected": shapes[0], "got": shapes[1]}
    if before.dtype != after.dtype:
        return {"element": None, "expected": before.dtype.name, "got": after.dtype.name}
    with np.errstate(invalid="ignore"):
        distance = np.abs(before.astype(np.float64) - after.astype(np.float64))
    if np.nanmax(distance, initial=0.0) > 0.0:
        flat = int(np.nanargmax(distance))
    else:
        mine, theirs = (np.frombuffer(array.tobytes(), np.uint8) for array in (before, after))
        flat = int(np.argmax(mine != theirs)) // before.dtype.itemsize
    at = tuple(int(i) for i in np.unravel_index(flat, before.shape))
    return {"element": at, "expected": float(before[at]), "got": float(after[at])}
