"""What cases are made of beside the kinds of their layers: options, losses, optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from invariants.case import Case


def makeup(case: Case, backend: str) -> set[tuple[str, str]]:
    """Each part of a case with what it is there: ("conv2d.padding", "same"), ("loss", "mse").

    Of a hyperparameter with several numbers each counts by itself.
    """
    return {(part, str(value)) for part, value in _parts(case, backend)}


def _parts(case: Case, backend: str) -> Iterator[tuple[str, Any]]:
    realisation = case.realisations[backend]
    yield "dtype", case.dtype
    yield "inputs", len(case.architecture.inputs)
    yield "outputs", len({term.output for term in case.objective})
    yield "optimizer", case.optimizer.kind
    yield "clip", case.clip.kind if case.clip else None
    yield "schedule", case.schedule.kind if case.schedule else None
    yield "average", case.average.kind if case.average else None
    for action, way in zip(case.program, realisation.ways, strict=True):
        yield "action", action.action
        if way is not None:
            yield action.action, way
    for term in case.objective:
        yield "loss", term.loss
        yield "reduction", term.reduction
        yield "weighting", term.weighting
    for penalty in case.penalties.values():
        yield "penalty", penalty.kind
    for option, value in realisation.options.items():
        yield option, value
    for placed in case.architecture.layers:
        for name, value in asdict(placed.layer).items():
            if name != "kind":
                for one in value if isinstance(value, tuple) else (value,):
                    yield f"{placed.layer.kind}.{name}", one
