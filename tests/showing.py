"""Which programs can show a fault, where the names of what it patches do not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

from invariants.architecture.layers.dense import Dense
from invariants.case import Case
from invariants.course import Moment
from invariants.oracle.interpreter import expect
from invariants.oracle.rounding import LAMBDA, deviation
from invariants.program import Gradient, Step

#: Whether a case can show a fault of a backend.
Showing = Callable[[Case, str], bool]


def _steps(case: Case, backend: str) -> Iterator[Moment]:
    """What each step of a case finds and leaves."""
    for action, moment in zip(case.program, case.course(backend), strict=True):
        if isinstance(action, Step):
            yield moment


def decays_what_no_loss_reaches(case: Case, backend: str) -> bool:
    """A step decays weights, some of which no loss reaches."""
    decayed = getattr(case.optimizer, "weight_decay", 0.0)
    steps = _steps(case, backend)
    return bool(decayed) and any(set(m.acting.trainable) - m.reached for m in steps)


def meets_an_unknown_weight(case: Case, backend: str) -> bool:
    """A step trains a weight that the optimizer was not made with."""
    held = ((m, m.held) for m in _steps(case, backend))
    return any(known is not None and set(m.acting.trainable) - known for m, known in held)


def freezes_what_has_momentum(case: Case, backend: str) -> bool:
    """An optimizer that has moved a weight with momentum steps once more when it is frozen."""
    steps = pairwise(_steps(case, backend))
    return bool(getattr(case.optimizer, "momentum", 0.0)) and any(
        then.optimizer == now.optimizer
        and (set(then.acting.trainable) & then.reached) - set(now.acting.trainable)
        for then, now in steps
    )


def leaves_out_what_it_has_held(case: Case, backend: str) -> bool:
    """SGD has stepped, and is made anew without some weight, and steps again."""
    steps = pairwise(_steps(case, backend))
    return case.optimizer.kind == "sgd" and any(now.left - then.left for then, now in steps)


def steps_in_a_trace_at_another_rate(case: Case, backend: str) -> bool:
    """A step moves weights by what was traced before, when the learning rate was another."""
    steps = pairwise(_steps(case, backend))
    return any(
        now.again and then.factor != now.factor and now.receiving and not now.raises
        for then, now in steps
    )


def compares_masks_of_dense_kernels(case: Case, backend: str) -> bool:
    """Two gradients of one batch at the same weights, between which a dense kernel is frozen."""
    dense = {p.path for p in case.architecture.layers if isinstance(p.layer, Dense)}
    kernels = {f"{path}.kernel" for path in dense}
    course = tuple(zip(case.program, case.course(backend), strict=True))
    for (k, (a, then)), (n, (b, now)) in combinations(enumerate(course), 2):
        between = (action for action, _ in course[k:n])
        if (
            isinstance(a, Gradient)
            and isinstance(b, Gradient | Step)
            and a.batch == b.batch
            and not any(isinstance(action, Step) for action in between)
            and kernels & (set(then.acting.trainable) ^ set(now.acting.trainable))
        ):
            return True
    return False


def a_setting_decides(kind: str, **otherwise: Any) -> Showing:
    """Weights would go elsewhere under other settings of an optimizer of this kind."""

    def decides(case: Case, backend: str) -> bool:
        optimizer = case.optimizer
        if optimizer.kind != kind:
            return False
        changed = replace(optimizer, **otherwise)
        if changed == optimizer:
            return False
        other = replace(case, optimizer=changed)
        both = (expect(case, backend).points, expect(other, backend).points)
        return any(
            (deviation(then.weights[name].value, weight).spreads > LAMBDA).any()
            for now, then in zip(*both, strict=True)
            for name, weight in now.weights.items()
        )

    return decides
