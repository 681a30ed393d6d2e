"""Dense networks of a depth and a width, with one layer in the middle frozen, for benchmarks.

The same network as a case of the suite, and as a function that other checkers take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import Relu, Sigmoid, Tanh
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.case import Batch, Case, Realisation, frozen
from invariants.objective import Term
from invariants.optimizer import SGD
from invariants.program import Dtype, Freeze, Gradient, Thaw

_ACTIVATIONS: tuple[AnyLayer, ...] = (Tanh(), Relu(), Sigmoid())

#: The usual mode of each backend, and how it freezes a layer there.
_REALISED = {"torch": ("eager", "requires_grad_"), "tensorflow": ("tape", "layer_trainable")}

#: Examples in the batch.
BATCH = 4


def _layers(depth: int, width: int, seed: int) -> tuple[AnyLayer, ...]:
    rng, layers = np.random.default_rng(seed), list[AnyLayer]()
    for _ in range(depth - 1):
        layers += [Dense(units=width), _ACTIVATIONS[rng.integers(len(_ACTIVATIONS))]]
    return (*layers, Dense(units=width))


def _grid(rng: np.random.Generator, shape: Sequence[int], limit: float) -> np.ndarray:
    """Multiples of 1/64 up to `limit`, which every dtype holds as they are."""
    most = max(1, int(64 * limit))
    return frozen(rng.integers(-most, most, size=tuple(shape), endpoint=True) / 64)


def chain(backend: str, depth: int, width: int, dtype: Dtype, seed: int, masks: int = 1) -> Case:
    """So many dense layers of `width` units and activations between them, the middle one frozen.

    masks: of how many layers, one by one, each is frozen by itself, and a gradient taken.
    """
    layers = _layers(depth, width, seed)
    nodes = tuple(Node(number, (number,)) for number in range(len(layers)))
    architecture = Architecture((Spec((width,)),), Block(members=layers, nodes=nodes))
    rng = np.random.default_rng((seed, depth, width))
    mode, way = _REALISED[backend]
    program: list[Freeze | Thaw | Gradient] = []
    for mask in range(masks):
        last, now = (f"dense_{2 * ((depth // 2 + n) % depth)}" for n in (mask - 1, mask))
        program += [*([Thaw(last)] if mask else []), Freeze(now), Gradient(0)]
    ways = tuple(None if isinstance(action, Gradient) else way for action in program)
    return Case(
        architecture=architecture,
        weights={
            name: _grid(rng, parameter.shape, 2.0 / np.sqrt(width))
            for name, parameter in architecture.parameters.items()
        },
        batches=(
            Batch((_grid(rng, (BATCH, width), 1.0),), (_grid(rng, (BATCH, width), 1.0),), (None,)),
        ),
        program=tuple(program),
        realisations={backend: Realisation(mode, ways, {})},
        optimizer=SGD(),
        objective=(Term(),),
        dtype=dtype,
        training=True,
        input_gradient=False,
        seed=0,
    ).check()


def parameters_of(depth: int, width: int) -> int:
    """How many numbers a chain trains and freezes."""
    return depth * width * (width + 1)
