"""Random networks: grown layer by layer, or of the shape of one that people train."""

from __future__ import annotations

from collections.abc import Sequence

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.generate.choice import Drawn
from invariants.generate.growing import Growing
from invariants.generate.presets import PRESETS

#: How many layers are drawn before the head, from what shrinking aims at to the largest.
_LENGTHS = (1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9)


def draw_inputs(choice: Drawn) -> tuple[Spec, ...]:
    """The types of one to three inputs."""
    count = choice.one_of((1,) * 10 + (2, 2, 3))
    return tuple(_draw_input(choice) for _ in range(count))


def _draw_input(choice: Drawn) -> Spec:
    if choice.chance(9):
        depth, height, width = (choice.integer(2, 3) for _ in range(3))
        return Spec((depth, height, width, choice.integer(1, 2)))
    kind = choice.one_of(
        ("vector", "vector", "vector", "image", "sequence", "image", "sequence", "indices")
    )
    if kind == "image":
        return Spec((choice.integer(2, 5), choice.integer(2, 5), choice.one_of((1, 1, 2, 3))))
    if kind == "sequence":
        return Spec((choice.integer(1, 3), choice.integer(1, 4)))
    if kind == "indices":
        return Spec((choice.integer(1, 4),), vocabulary=choice.integer(1, 6))
    return Spec((choice.integer(1, 6),))


def _body(choice: Drawn) -> Growing:
    """A network without its heads."""
    if choice.chance(10):
        return choice.one_of(tuple(PRESETS.values()))(choice)
    growing = Growing(choice, draw_inputs(choice), 0)
    for _ in range(choice.one_of(_LENGTHS)):
        growing.grow()
    return growing


def draw_architecture(choice: Drawn, losses: Sequence[str]) -> Architecture:
    """A network with an output for each of `losses` that fits it; output 0 is for the first."""
    growing = _body(choice)
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
