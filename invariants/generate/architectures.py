"""Random networks: grown layer by layer, or of the shape of one that people train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from invariants.architecture.graph import Architecture
from invariants.architecture.kinds import SAMPLES, follows_others
from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.generate.choice import Drawn
from invariants.generate.growing import NO_OPTIONS, Growing
from invariants.generate.presets import PRESETS

#: How many layers are drawn before the head, from what shrinking aims at to the largest.
_LENGTHS = (1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9)


#: The kinds of inputs, each as often as it is drawn.
_KINDS = ("vector",) * 11 + ("image",) * 8 + ("sequence",) * 8 + ("indices",) * 4 + ("volume",) * 4


#: How often another input is drawn where the wanted layer says little of the first.
_TRIES = 3


@lru_cache(maxsize=1024)
def _fitting(wanted: str) -> tuple[str, ...]:
    """The kinds of inputs that a kind of layer takes; all of them where it takes none."""
    layer = LAYERS[wanted]
    count = layer.arity or 2
    fit = tuple(kind for kind in _KINDS if layer.accepts([SAMPLES[kind]] * count))
    return fit or _KINDS


@lru_cache(maxsize=8)
def _wanted(lacking: frozenset[str]) -> tuple[str, ...]:
    """The kinds that a network may be drawn for.

    What takes indices stands twice: frozen_middle passes it by, for nothing stands before it.
    """
    return tuple(
        kind
        for kind in LAYERS
        if kind not in lacking
        for _ in range(1 if follows_others(kind) else 2)
    )


def draw_inputs(choice: Drawn, wanted: str) -> tuple[Spec, ...]:
    """The types of one to three inputs, the first of a kind that the wanted layer takes."""
    count = choice.one_of((1,) * 10 + (2, 2, 3))
    kinds = _fitting(wanted)
    first = _draw_input(choice, choice.one_of(kinds))
    for _ in range(_TRIES):
        if LAYERS[wanted].arity != 1 or LAYERS[wanted].worth_drawing([first]):
            break
        first = _draw_input(choice, choice.one_of(kinds))
    return (first, *(_draw_input(choice, choice.one_of(_KINDS)) for _ in range(count - 1)))


def _draw_input(choice: Drawn, kind: str) -> Spec:
    if kind == "volume":
        depth, height, width = (choice.integer(2, 3) for _ in range(3))
        return Spec((depth, height, width, choice.integer(1, 2)))
    if kind == "image":
        return Spec((choice.integer(2, 5), choice.integer(2, 5), choice.one_of((1, 1, 2, 3))))
    if kind == "sequence":
        return Spec((choice.one_of((2, 3, 1, 4, 5)), choice.integer(1, 4)))
    if kind == "indices":
        return Spec((choice.integer(1, 4),), vocabulary=choice.integer(1, 6))
    return Spec((choice.integer(1, 6),))


def _body(choice: Drawn, layer: str, options: Mapping[str, Any], parted: bool) -> Growing:
    """A network without its heads."""
    if not layer and choice.chance(10):
        return choice.one_of(tuple(PRESETS.values()))(choice)
    wanted = layer or choice.one_of(_wanted(choice.lacking))
    growing = Growing(choice, draw_inputs(choice, wanted), 0, wanted, options, parted)
    for _ in range(choice.one_of(_LENGTHS)):
        growing.grow()
    growing.grant()
    return growing


def draw_architecture(
    choice: Drawn,
    losses: Sequence[str],
    layer: str = "",
    options: Mapping[str, Any] = NO_OPTIONS,
    parted: bool = False,
) -> Architecture:
    """A network with an output for each of `losses` that fits it; output 0 is for the first.

    layer: a kind of layer that it is to have, where its values allow; options: what of it is to be
    so, where they allow. parted: whether it is given a part of a value.
    """
    growing = _body(choice, layer, options, parted)
    body, loose = growing.latest, set(growing.unused)
    taps: list[int] = []
    for loss in losses[1:]:
        source = choice.integer(growing.inputs, body)
        tap = growing.head(source, loss, required=source in taps)
        taps.append(tap)
    growing.unused = loose
    end = growing.join_loose_ends()
    growing.head(end, losses[0], required=end != growing.latest or end in taps)
    network = growing.architecture(taps)
    if network.weights:
        return network
    growing.add_layer(Dense(units=choice.integer(1, 3)), [growing.flat(growing.latest)])
    return growing.architecture(taps)
