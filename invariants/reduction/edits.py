"""The kinds of edits that make a case smaller, each a generator of candidates.

A candidate need not be valid; whoever asks for it checks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import combinations, takewhile
from typing import Any

import numpy as np

from invariants.architecture.graph import Architecture, overlap
from invariants.architecture.layers.base import Layer, ShapeError, Spec
from invariants.case import Batch, Case, Realisation, frozen, ways_of
from invariants.freezing import Flags, targets
from invariants.objective import Term
from invariants.optimizer import SGD, settings
from invariants.oracle.contract import CONTRACTS
from invariants.program import Action, Evaluate, Freeze, Gradient, Step, Thaw
from invariants.reduction import graphs
from invariants.reduction.fitting import Taken, fitted, same_names, taken, with_program


def shorter_programs(case: Case) -> Iterator[Case]:
    """The program up to each gradient or step, then without each action, then without steps."""
    actions = taken(case)
    for number, (action, _) in enumerate(actions[:-1]):
        if isinstance(action, Gradient | Step):
            yield with_program(case, actions[: number + 1])
    for number in range(len(actions) - 1, -1, -1):
        left = actions[:number] + actions[number + 1 :]
        if any(isinstance(action, Gradient | Step) for action, _ in left):
            yield with_program(case, left)
    for number, (action, ways) in enumerate(actions):
        if isinstance(action, Step):
            changed: Any = (Gradient(action.batch), ways)
            yield with_program(case, [*actions[:number], changed, *actions[number + 1 :]])


def plainer_changes(case: Case) -> Iterator[Case]:
    """Settings in a row that contradict or repeat one another, as what they come to."""
    actions, flags = taken(case), Flags.initial(case.architecture)
    start = 0
    while start < len(actions):
        row = list(takewhile(lambda one: isinstance(one[0], Freeze | Thaw), actions[start:]))
        before = flags
        for action, _ in row:
            flags = _set(flags, action)
        plain = _difference(case, before.frozen, flags.frozen, row)
        if _overlapping([action for action, _ in row]) and len(plain) <= len(row):
            yield with_program(case, [*actions[:start], *plain, *actions[start + len(row) :]])
        start += len(row) + 1


def _set(flags: Flags, action: Action) -> Flags:
    if isinstance(action, Freeze):
        return flags.freeze(action.target, False)
    return flags.thaw(action.target, False) if isinstance(action, Thaw) else flags


def _overlapping(actions: Sequence[Action]) -> bool:
    named = [action.target for action in actions if isinstance(action, Freeze | Thaw)]
    return any(overlap(a, b) for a, b in combinations(named, 2))


def _difference(
    case: Case, before: frozenset[str], after: frozenset[str], row: Sequence[Taken]
) -> list[Taken]:
    """What thaws and freezes the difference, by the ways of the row where they reach that far."""
    of = case.architecture
    thawed: list[Action] = [*map(Thaw, targets(of, before - after, before - after))]
    frozen: list[Action] = [*map(Freeze, targets(of, after - before, after - before))]
    plain: list[Taken] = []
    for action in (*thawed, *frozen):
        ways = {}
        for name, realisation in case.realisations.items():
            offered = ways_of(action, of, CONTRACTS[name], realisation.mode)
            went = [w[name] for other, w in row if other.action == action.action]
            ways[name] = next((way for way in went if way in offered), offered[0])
        plain.append((action, ways))
    return plain


def _parts(
    parts: Callable[[Architecture], Iterator[graphs.Part]],
) -> Callable[[Case], Iterator[Case]]:
    def edit(case: Case) -> Iterator[Case]:
        for part in parts(case.architecture):
            yield from _attempted(case, part)

    edit.__name__ = parts.__name__
    return edit


def _attempted(case: Case, part: graphs.Part) -> Iterator[Case]:
    """The case on a part of its network; nothing where that does not fit together.

    A part without weights gets a head, where it is still smaller then.
    """
    with contextlib.suppress(ShapeError, IndexError):
        if not part.architecture.weights:
            part = graphs.with_head(part)
            if len(part.architecture.layers) >= len(case.architecture.layers):
                return
        yield fitted(case, part.architecture, part.renamed, part.inputs, part.outputs)


def _on(case: Case, architecture: Architecture) -> Iterator[Case]:
    """The case on an architecture with the same names and inputs, where it fits."""
    inputs = tuple(range(len(case.architecture.inputs)))
    outputs = tuple(range(len(case.architecture.outputs)))
    yield from _attempted(case, graphs.Part(architecture, same_names, inputs, outputs))


def simplest_loss(case: Case) -> Iterator[Case]:
    """No penalties, one term less, each as a plain mean, each the mean squared error."""
    for name in case.penalties:
        left = {other: p for other, p in case.penalties.items() if other != name}
        yield replace(case, penalties=left)
    numbers = range(len(case.objective))
    for number in numbers if len(numbers) > 1 else ():
        yield _with_terms(case, [n for n in numbers if n != number], case.objective)
    for number, term in enumerate(case.objective):
        plain = Term(loss=term.loss, output=term.output)
        for simpler in (Term(output=term.output), plain, replace(term, weighting="none")):
            if simpler != term:
                changed = (*case.objective[:number], simpler, *case.objective[number + 1 :])
                yield _with_terms(case, numbers, changed)


def _with_terms(case: Case, kept: Sequence[int], terms: Sequence[Term]) -> Case:
    """The case with some of the terms, whose targets are those of the same numbers."""
    batches = []
    for batch in case.batches:
        targets = []
        for n in kept:
            shape = case.architecture.outputs[terms[n].output].shape
            target = batch.targets[n]
            if terms[n].loss != case.objective[n].loss:
                target = frozen(np.zeros((batch.size, *shape)))
            targets.append(target)
        weights = tuple(batch.weights[n] if terms[n].weighting != "none" else None for n in kept)
        batches.append(Batch(batch.inputs, tuple(targets), weights))
    return replace(case, objective=tuple(terms[n] for n in kept), batches=tuple(batches))


def _smaller(value: Any) -> Iterator[Any]:
    """Smaller values of one hyperparameter."""
    if isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, int):
        yield from dict.fromkeys(n for n in (1, value // 2, value - 1) if 0 < n < value)
    elif isinstance(value, tuple) and any(isinstance(n, int) and n > 1 for n in value):
        yield (1,) * len(value)
        yield tuple(max(1, n - 1) for n in value)


def _simpler_layers(layer: Layer) -> Iterator[Layer]:
    for field in fields(layer):
        value = getattr(layer, field.name)
        named = isinstance(value, str) or isinstance(field.default, str)
        if named and value != field.default:  # the default is the simplest
            plain: dict[str, Any] = {field.name: field.default}
            yield replace(layer, **plain)
        for smaller in _smaller(value):
            yield replace(layer, **{field.name: smaller})


def narrower_layers(case: Case) -> Iterator[Case]:
    """All whole numbers of all layers at 1, then each smaller by itself, and switches off."""
    architecture = case.architecture
    for path, number, layer in graphs.layers(architecture):
        names = [f.name for f in fields(layer) if type(getattr(layer, f.name)) is int]
        ones: dict[str, Any] = dict.fromkeys(names, 1)
        architecture = graphs.with_layer(architecture, path, number, replace(layer, **ones))
    if architecture != case.architecture:
        yield from _on(case, architecture)
    for path, number, layer in graphs.layers(case.architecture):
        for simpler in _simpler_layers(layer):
            architecture = graphs.with_layer(case.architecture, path, number, simpler)
            yield from _on(case, architecture)


def smaller_inputs(case: Case) -> Iterator[Case]:
    """Each extent of each input smaller."""
    inputs = case.architecture.inputs
    for number, spec in enumerate(inputs):
        for smaller in _smaller_specs(spec):
            changed = (*inputs[:number], smaller, *inputs[number + 1 :])
            architecture = replace(case.architecture, inputs=changed)
            yield from _on(case, architecture)


def _smaller_specs(spec: Spec) -> Iterator[Spec]:
    for axis, extent in enumerate(spec.shape):
        for n in _smaller(extent):
            yield replace(spec, shape=(*spec.shape[:axis], n, *spec.shape[axis + 1 :]))
    if spec.vocabulary is not None:
        for n in _smaller(spec.vocabulary):
            yield replace(spec, vocabulary=n)


def _on_the_first_batch(action: Action) -> Action:
    if isinstance(action, Step):
        return replace(action, batch=0, more=())
    return replace(action, batch=0) if isinstance(action, Gradient | Evaluate) else action


def smaller_batches(case: Case) -> Iterator[Case]:
    """One batch for all actions, then fewer samples in each."""
    if len(case.batches) > 1:
        for batch in case.batches:
            program: list[Any] = [(_on_the_first_batch(a), ways) for a, ways in taken(case)]
            yield with_program(replace(case, batches=(batch,)), program)
    size = max(batch.size for batch in case.batches)
    for fewer in _smaller(size):
        yield replace(case, batches=tuple(batch.first(fewer) for batch in case.batches))


def plainer_settings(case: Case) -> Iterator[Case]:
    """One backend, no input gradient, inference mode, plain SGD for all, the first ways."""
    if len(case.realisations) > 1:
        for name, realisation in case.realisations.items():
            yield replace(case, realisations={name: realisation})
    if case.input_gradient:
        yield replace(case, input_gradient=False)
    if case.training:
        yield replace(case, training=False)
    if case.groups:
        yield replace(case, groups={})
    if case.clip:
        yield replace(case, clip=None)
    if case.maximize:
        yield replace(case, maximize=False)
    if case.accumulation > 1:
        yield replace(case, accumulation=1)
    for name in ("schedule", "average"):
        yield from _plainer_part(case, name)
    if case.optimizer != SGD():
        yield replace(case, optimizer=SGD())
    optimizer: Any = case.optimizer
    for item in fields(optimizer):
        if item.name in settings(optimizer):
            yield replace(case, optimizer=replace(optimizer, **{item.name: item.default}))
    if case.seed:
        yield replace(case, seed=0)
    for name, realisation in case.realisations.items():
        plain = _plain(case, name, realisation)
        if plain != realisation:
            yield replace(case, realisations={**case.realisations, name: plain})


def _plainer_part(case: Case, name: str) -> Iterator[Case]:
    """The case without its schedule or average, then with each setting of it at its default."""
    part: Any = getattr(case, name)
    if part is None:
        return
    changed: dict[str, Any] = {name: None}
    yield replace(case, **changed)
    for item in fields(part):
        if item.name in settings(part):
            changed = {name: replace(part, **{item.name: item.default})}
            yield replace(case, **changed)


def _plain(case: Case, backend: str, realisation: Realisation) -> Realisation:
    contract = CONTRACTS[backend]
    ways = tuple(
        ways_of(action, case.architecture, contract, realisation.mode)[0] for action in case.program
    )
    options = {option.name: option.values[0] for option in contract.options}
    return replace(realisation, ways=ways, options=options)


def plainer_numbers(case: Case) -> Iterator[Case]:
    """Each array of ones, or rounded to halves."""
    for name, array in case.weights.items():
        for plain in (np.ones_like(array), np.rint(2.0 * array) / 2.0):
            if not np.array_equal(plain, array) and (plain != 0.0).any():
                yield replace(case, weights={**case.weights, name: frozen(plain)})
    for number, batch in enumerate(case.batches):
        for plainer in _plainer_batches(batch):
            batches = (*case.batches[:number], plainer, *case.batches[number + 1 :])
            yield replace(case, batches=batches)


def _plainer_batches(batch: Batch) -> Iterator[Batch]:
    """Each array of inputs or targets rounded to halves."""
    inputs = len(batch.inputs)
    arrays = (*batch.inputs, *batch.targets)
    for place, array in enumerate(arrays):
        plain = np.rint(2.0 * array) / 2.0
        if not np.array_equal(plain, array):
            changed = (*arrays[:place], frozen(plain), *arrays[place + 1 :])
            yield replace(batch, inputs=changed[:inputs], targets=changed[inputs:])


EDITS: tuple[Callable[[Case], Iterator[Case]], ...] = (
    shorter_programs,
    plainer_changes,
    simplest_loss,
    _parts(graphs.endings),
    _parts(graphs.beginnings),
    _parts(graphs.bypasses),
    _parts(graphs.inlined),
    _parts(graphs.plainer),
    narrower_layers,
    smaller_inputs,
    smaller_batches,
    plainer_settings,
    plainer_numbers,
)
