"""What the backends share in rendering a case as the source of a training script.

Every name in a source comes from the numbering of the architecture, every number from `repr`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from invariants.architecture.layers.base import Spec
from invariants.case import Case
from invariants.objective import Term

Array = np.ndarray

#: The versions of packages of a script that is for today's.
NEWEST: Mapping[str, str] = {}

#: Native axes from canonical ones: a number is that axis, several are merged into one in that
#: order, none at all is an axis of one element.
Axes = tuple[int | tuple[int, ...], ...]


def _groups(axes: Axes, rank: int) -> tuple[list[tuple[int, ...]], list[int]]:
    """The canonical axes of each native one, and those that are of one and left out."""
    groups = [
        tuple(axis % rank for axis in ((group,) if isinstance(group, int) else group))
        for group in axes
    ]
    return groups, [axis for axis in range(rank) if axis not in chain(*groups)]


def native_from(array: Array, axes: Axes | None) -> Array:
    """`array` in the framework's layout."""
    if axes is None:
        return np.ascontiguousarray(array)
    groups, left_out = _groups(axes, array.ndim)
    shape = [math.prod(array.shape[axis] for axis in group) for group in groups]
    return np.ascontiguousarray(array.transpose([*left_out, *chain(*groups)]).reshape(shape))


def canonical_from(array: Array, axes: Axes | None, shape: Sequence[int] = ()) -> Array:
    """`array` in the canonical layout; `shape` is needed where axes are merged or left out."""
    if axes is None:
        return array
    groups, left_out = _groups(axes, len(shape) or array.ndim)
    order = [*left_out, *chain(*groups)]
    apart = array.reshape([shape[axis] for axis in order]) if shape else array
    return apart.transpose(np.argsort(order))


@dataclass(frozen=True)
class NativeParameter:
    """A parameter as the framework has it.

    name: within its layer, as the framework lists it. axes: its axes, native from canonical; those
    that are left out are of one. attribute: the expression that reaches it from its layer, where
    that is not its name. moved: the native array from the canonical one, where that takes more than
    axes (gates in another order); it moves elements and changes none. shape: the canonical shape,
    known once a case has built the layer.
    """

    name: str
    axes: Axes | None = None
    attribute: str = ""
    moved: Callable[[Array], Array] | None = None
    shape: tuple[int, ...] = ()

    def to_native(self, array: Array) -> Array:
        """The native array of a canonical one."""
        if self.moved is not None:
            return np.ascontiguousarray(self.moved(array))
        return native_from(array, self.axes)

    def to_canonical(self, array: Array) -> Array:
        """The canonical array of a native one; one of a wrong shape stays as it is."""
        if self.moved is None:
            return canonical_from(array, self.axes, self.shape)
        places = self.moved(np.arange(math.prod(self.shape)).reshape(self.shape))
        if places.shape != array.shape:
            return array
        canonical = np.empty(math.prod(self.shape), dtype=array.dtype)
        canonical[places] = array
        return canonical.reshape(self.shape)


@dataclass(frozen=True)
class Lowering:
    """One row of a backend's table: how a layer is made, called, and what its parameters are.

    construct: (layer, specs) -> the expression that makes it, or None where a call needs nothing.
    call: (layer, name of the made layer, argument expressions, specs) -> the expression of a call.
    definition: the class or function that the two need, which stands once on top of the script.
    drawn_axes: rank of its input -> the axes of what a random layer draws, native from canonical,
    where they are not those of the value.
    built: (layer, name) -> the line that changes it once a call has built it, "" for none.
    """

    construct: Callable[[Any, Sequence[Spec]], str] | None
    call: Callable[[Any, str, Sequence[str], Sequence[Spec]], str]
    parameters: Mapping[str, NativeParameter] = field(default_factory=dict)
    definition: str | tuple[str, ...] = ""
    drawn_axes: Mapping[int, Axes] = field(default_factory=dict)
    built: Callable[[Any, str], str] = lambda layer, name: ""


def joined_tables(*tables: Mapping[str, Lowering]) -> dict[str, Lowering]:
    """One table from those of the families; raises ValueError where two have a row in common."""
    joined: dict[str, Lowering] = {}
    for table in tables:
        twice = joined.keys() & table.keys()
        if twice:
            raise ValueError(f"two rows for {', '.join(sorted(twice))}")
        joined.update(table)
    return joined


def definitions(case: Case, lowerings: Mapping[str, Lowering]) -> list[str]:
    """The lines of what the layers of a case need defined, each once."""
    kinds = dict.fromkeys(placed.layer.kind for placed in case.architecture.layers)
    rows = (lowerings[kind].definition for kind in kinds)
    texts = dict.fromkeys(
        text for row in rows for text in ((row,) if isinstance(row, str) else row)
    )
    return [line for text in texts if text for line in (*text.splitlines(), "", "")]


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    return [("    " * levels + line) if line else "" for line in lines]


def arguments(**options: Any) -> str:
    """Keyword arguments as source."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def numbered(letter: str, count: int) -> list[str]:
    """x0, x1, ...; the letter alone where there is one."""
    return [letter] if count == 1 else [f"{letter}{n}" for n in range(count)]


def arrays_of_a_batch(case: Case) -> list[str]:
    """What a script calls the arrays of a batch: inputs, targets, and weights by their term."""
    terms = case.objective
    w = numbered("w", len(terms))
    weights = [w[n] for n, term in enumerate(terms) if term.weighting != "none"]
    inputs = [f"x{n}" for n in range(len(case.architecture.inputs))]
    return [*inputs, *numbered("y", len(terms)), *weights]


def named_terms(case: Case) -> list[tuple[str, Term, Spec]]:
    """The name of the loss function of each term, the term, and the type of its output."""
    names, outputs = numbered("loss_function", len(case.objective)), case.architecture.outputs
    return [(n, t, outputs[t.output]) for n, t in zip(names, case.objective, strict=True)]


def loss_lines(
    case: Case, call: str, value: Callable[[Term, Spec, str, str, str, str], str]
) -> list[str]:
    """The lines that compute `loss`, but for penalties, from a call of the model.

    value: term, type of its output, names of loss function, output, target and weights -> the
    expression of the term.
    """
    terms, outputs = named_terms(case), len(case.architecture.outputs)
    plain = outputs == len(terms) == 1
    z = [call] if plain else numbered("z", outputs)
    y, w = numbered("y", len(terms)), numbered("w", len(terms))
    summands = []
    for n, (name, term, spec) in enumerate(terms):
        summand = value(term, spec, name, z[term.output], y[n], w[n])
        summands.append(summand if term.weight == 1.0 else f"{term.weight!r} * {summand}")
    lines = [] if plain else [f"{', '.join(z)} = {call}"]
    return [*lines, f"loss = {' + '.join(summands)}"]


def placed_weight(
    case: Case, weight: str, lowerings: Mapping[str, Lowering]
) -> tuple[str, NativeParameter]:
    """The path of the layer of a weight, and the weight as the framework has it there."""
    path, _, name = weight.rpartition(".")
    layer = next(placed.layer for placed in case.architecture.layers if placed.path == path)
    return path, lowerings[layer.kind].parameters[name]


def camel(path: str) -> str:
    """block_1.block_2 -> Block1Block2; the network itself is Net."""
    return path.replace("_", "").replace("block", "Block").replace(".", "") or "Net"
