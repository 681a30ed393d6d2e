"""A case whose architecture was changed: its numbers and its program made to fit again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.case import Action, Batch, Case, Freeze, Realisation, Thaw, frozen
from invariants.oracle.losses import LOSSES

#: The path of a module or the name of a weight -> what it is called now: nothing where it is gone,
#: several names where its parts took its place.
Renaming = Callable[[str], tuple[str, ...]]


def same_names(name: str) -> tuple[str, ...]:
    """Nothing was renamed."""
    return (name,)


def resized(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The leading part of `array`, or its elements again and again, in another shape."""
    if array.ndim == len(shape) and all(n <= m for n, m in zip(shape, array.shape, strict=True)):
        return frozen(array[tuple(slice(0, n) for n in shape)].copy())
    return frozen(np.resize(array, tuple(shape)))


def fitted(
    case: Case,
    architecture: Architecture,
    renamed: Renaming = same_names,
    inputs: Sequence[int] | None = None,
) -> Case:
    """`case` on another architecture.

    inputs: for each input of the new architecture the old one that feeds it; None for the same.
    A parameter that the case does not have is of ones.
    """
    kept = {new: name for name in case.weights for new in renamed(name)}
    sources = range(len(architecture.inputs)) if inputs is None else inputs
    weights = {
        name: resized(case.weights[kept[name]], parameter.shape)
        if name in kept
        else frozen(np.ones(parameter.shape))
        for name, parameter in architecture.parameters.items()
    }
    batches = tuple(_batch(case, batch, architecture, sources) for batch in case.batches)
    return with_program(
        replace(case, architecture=architecture, weights=weights, batches=batches),
        _actions(case, architecture, renamed),
    )


def _batch(case: Case, batch: Batch, architecture: Architecture, sources: Sequence[int]) -> Batch:
    size = len(batch.target)
    inputs = tuple(
        _input(batch.inputs[source], spec, size)
        for source, spec in zip(sources, architecture.inputs, strict=True)
    )
    output = architecture.output
    if LOSSES[case.loss].target != "classes":
        return Batch(inputs, resized(batch.target, (size, *output.shape)))
    return Batch(inputs, frozen(np.mod(batch.target, output.shape[0])))


def _input(array: np.ndarray, spec: Spec, size: int) -> np.ndarray:
    fitting = resized(array, (size, *spec.shape))
    if spec.vocabulary is None:
        return fitting
    return frozen(np.mod(np.abs(np.rint(fitting)), spec.vocabulary))


#: An action and, for each backend, the way that it takes.
Taken = tuple[Action, dict[str, str | None]]


def taken(case: Case) -> list[Taken]:
    """The program with the ways of every backend."""
    return [
        (action, {name: r.ways[number] for name, r in case.realisations.items()})
        for number, action in enumerate(case.program)
    ]


def with_program(case: Case, actions: Sequence[Taken]) -> Case:
    """`case` with another program."""
    return replace(
        case,
        program=tuple(action for action, _ in actions),
        realisations={
            name: Realisation(r.mode, tuple(ways[name] for _, ways in actions), r.options)
            for name, r in case.realisations.items()
        },
    )


def _actions(case: Case, architecture: Architecture, renamed: Renaming) -> list[Taken]:
    """The program with its targets renamed; what has no target any more is left out."""
    reachable = {*architecture.modules, *architecture.weights}
    actions: list[Taken] = []
    for action, ways in taken(case):
        if not isinstance(action, Freeze | Thaw):
            actions.append((action, ways))
            continue
        targets = renamed(action.target)
        actions += [(replace(action, target=t), ways) for t in targets if t in reachable]
    return actions
