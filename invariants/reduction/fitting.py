"""A case whose architecture was changed: its numbers and its program made to fit again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.case import Batch, Case, frozen
from invariants.oracle.losses import LOSSES
from invariants.program import Action, Freeze, Thaw

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
    outputs: Sequence[int] | None = None,
) -> Case:
    """`case` on another architecture.

    inputs: for each input of the new architecture the old one that feeds it; None for the same.
    outputs: for each output the old one that it is; None for the same. Terms of others are dropped,
    but for the first, which goes by output 0 then.
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
    ends = list(range(len(architecture.outputs)) if outputs is None else outputs)
    taken_terms = [n for n, term in enumerate(case.objective) if term.output in ends] or [0]
    terms = tuple(
        replace(case.objective[n], output=ends.index(case.objective[n].output))
        if case.objective[n].output in ends
        else replace(case.objective[n], output=0)
        for n in taken_terms
    )
    penalties = {new: penalty for old, penalty in case.penalties.items() for new in renamed(old)}
    changed = replace(
        case,
        architecture=architecture,
        weights=weights,
        objective=terms,
        penalties={name: p for name, p in penalties.items() if name in weights},
        groups={
            new: rate
            for old, rate in case.groups.items()
            for new in renamed(old)
            if new in architecture.modules
        },
    )
    batches = []
    for batch in case.batches:
        targets = tuple(batch.targets[n] for n in taken_terms)
        held = tuple(batch.weights[n] for n in taken_terms)
        batches.append(_batch(changed, Batch(batch.inputs, targets, held), sources))
    return with_program(
        replace(changed, batches=tuple(batches)), _actions(case, architecture, renamed)
    )


def _batch(case: Case, batch: Batch, sources: Sequence[int]) -> Batch:
    """`batch` in the shapes of the case's architecture."""
    architecture = case.architecture
    size = batch.size
    inputs = tuple(
        _input(batch.inputs[source], spec, size)
        for source, spec in zip(sources, architecture.inputs, strict=True)
    )
    specs = [architecture.outputs[term.output] for term in case.objective]
    targets = tuple(
        fitting_target(array, term.loss, (size, *spec.shape))
        for array, term, spec in zip(batch.targets, case.objective, specs, strict=True)
    )
    weights = tuple(
        None if array is None else _some(resized(array, (size, *spec.shape[:-1])))
        for array, spec in zip(batch.weights, specs, strict=True)
    )
    return Batch(inputs, targets, weights)


def fitting_target(array: np.ndarray, loss: str, shape: Sequence[int]) -> np.ndarray:
    """A target of a loss for an output of `shape`, from another of the same loss."""
    kind = LOSSES[loss].target
    if kind == "classes":
        return frozen(np.mod(resized(array, shape[:-1]), shape[-1]))
    fitting = resized(array, shape)
    if kind == "distribution":
        rest = 1.0 - fitting[..., :-1].sum(axis=-1, keepdims=True)
        return frozen(np.concatenate([fitting[..., :-1], rest], axis=-1))
    return fitting


def _some(weights: np.ndarray) -> np.ndarray:
    """The weights, or ones where all of them are 0."""
    return weights if weights.any() else frozen(np.ones_like(weights))


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
            name: replace(r, ways=tuple(ways[name] for _, ways in actions))
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
