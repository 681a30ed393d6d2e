"""Real evidence to start from, and ways to forge an observation in exactly one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense, Projection
from invariants.architecture.layers.normalization import BatchNorm
from invariants.case import Batch, Case, Realisation, frozen
from invariants.judge import gather
from invariants.objective import Term
from invariants.observation import Array, Observation, ObservedPoint
from invariants.optimizer import SGD
from invariants.program import Action, Freeze, Gradient, Step, Thaw
from invariants.properties.evidence import Evidence

Change = Callable[[Array], Array]


def chain(*layers: AnyLayer) -> Block:
    """The layers, one after the other."""
    nodes = tuple(Node(number, (number,)) for number in range(len(layers)))
    return Block(members=layers, nodes=nodes)


def torch_case(
    layers: tuple[AnyLayer, ...],
    program: tuple[Action, ...],
    *,
    inputs: tuple[int, ...] = (3,),
    **options: Any,
) -> Case:
    """A case in float64 on torch: the layers in a chain, one batch of 4, mean squared error."""
    architecture = Architecture((Spec(inputs),), chain(*layers))
    rng = np.random.default_rng(11)

    def drawn(*shape: int) -> Array:
        return frozen(rng.integers(1, 64, size=shape) * rng.choice((-1, 1), size=shape) / 64)

    def way(action: Action) -> str | None:
        if not isinstance(action, Freeze | Thaw):
            return None
        return (
            "tensor_requires_grad_" if action.target in architecture.weights else "requires_grad_"
        )

    settings: dict[str, Any] = {
        "optimizer": SGD(momentum=0.5),
        "objective": (Term(),),
        "dtype": "float64",
        "training": True,
        "input_gradient": False,
        "seed": 0,
        **options,
    }
    return Case(
        architecture=architecture,
        weights={
            name: frozen(np.abs(drawn(*p.shape))) if p.initial == "variance" else drawn(*p.shape)
            for name, p in architecture.parameters.items()
        },
        batches=(
            Batch((drawn(4, *inputs),), (drawn(4, *architecture.outputs[0].shape),), (None,)),
        ),
        program=program,
        realisations={
            "torch": Realisation(
                "eager", tuple(way(a) for a in program), {"optimizer_loop": "for-loop"}
            )
        },
        **settings,
    ).check()


#: One of each role: weights, the states of a batch norm, the constants of a projection.
LAYERS: tuple[AnyLayer, ...] = (
    Dense(units=3),
    BatchNorm(),
    Tanh(),
    Projection(components=2),
    Dense(units=2),
    Dense(units=1),
)

#: Actions 2, 4 and 5 are at the same weights under two masks; dense_4 has a slot before its freeze.
PROGRAM: tuple[Action, ...] = (
    Step(0),
    Freeze("dense_4"),
    Gradient(0),
    Freeze("dense_0.bias"),
    Gradient(0),
    Step(0),
    Thaw("dense_4"),
    Gradient(0),
)


@cache
def real(training: bool = True) -> Evidence:
    """What torch really did with LAYERS and PROGRAM."""
    return gather(torch_case(LAYERS, PROGRAM, training=training), "torch")


@cache
def twice() -> Evidence:
    """The same script, run twice."""
    return gather(torch_case(LAYERS, PROGRAM), "torch", repeat=True)


@cache
def all_frozen() -> Evidence:
    """A gradient with nothing to train, which torch refuses as documented."""
    program = (Freeze(""), Gradient(0), Thaw(""), Gradient(0))
    return gather(torch_case((Dense(units=1),), program), "torch")


def with_points(evidence: Evidence, change: Callable[[ObservedPoint], ObservedPoint]) -> Evidence:
    points = tuple(change(point) for point in evidence.observation.points)
    return replace(evidence, observation=replace(evidence.observation, points=points))


def at(evidence: Evidence, action: int, field: str, name: str, value: Any) -> Evidence:
    """`evidence` with another value of one entry of one field at one action."""

    def change(point: ObservedPoint) -> ObservedPoint:
        if point.action != action:
            return point
        changed: dict[str, Any] = {field: {**getattr(point, field), name: value}}
        return replace(point, **changed)

    return with_points(evidence, change)


def since(evidence: Evidence, action: int, name: str, change: Change) -> Evidence:
    """`evidence` with parameter `name` changed at `action`, and as changed from there on.

    A change at one point alone would be two: there and back.
    """

    def changed(point: ObservedPoint) -> ObservedPoint:
        if point.action < action:
            return point
        return replace(point, weights={**point.weights, name: change(point.weights[name])})

    return with_points(evidence, changed)


def with_observation(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, observation=replace(evidence.observation, **changes))


def point_of(observation: Observation, action: int) -> ObservedPoint:
    point = observation.at(action)
    assert point is not None
    return point


def gradient_of(evidence: Evidence, action: int, name: str) -> Array:
    gradient = point_of(evidence.observation, action).gradients[name]
    assert gradient is not None
    return gradient


def with_element(array: Array, element: tuple[int, ...], value: float) -> Array:
    changed = array.copy()
    changed[element] = value
    return changed


def last_bit_flipped(array: Array, element: tuple[int, ...]) -> Array:
    changed = array.copy()
    changed.view(f"u{array.dtype.itemsize}")[element] ^= 1
    return changed
