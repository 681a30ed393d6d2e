"""The smallest case with a layer of one kind: a gradient through the simplest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.kinds import taken
from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.base import Layer, Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.shaping import Reshape
from invariants.case import Batch, Case, Realisation, frozen
from invariants.generate.cases import GRID
from invariants.objective import Term
from invariants.optimizer import SGD
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.program import Dtype, Gradient

T = TypeVar("T")

_SAMPLES = 2


@dataclass(frozen=True)
class Simplest:
    """A `Choice` (see architecture.layers.base) that takes the simplest of each domain."""

    contract: Contract

    def integer(self, low: int, high: int) -> int:
        return low

    def one_of(self, options: Sequence[T]) -> T:
        return options[0]

    def boolean(self) -> bool:
        return False

    def offered(self, point: str) -> tuple[Any, ...]:
        return tuple(self.contract[point])


def simplest(kind: str, contract: Contract) -> tuple[Layer, Sequence[Spec]]:
    """A layer of a kind and values that it takes, such as other layers give where it can be."""
    calls = taken(kind)
    behind = [specs for specs in calls if all(spec.vocabulary is None for spec in specs)]
    specs = (behind or calls)[0]
    return LAYERS[kind].draw(Simplest(contract), specs), specs


def _network(layer: Layer, specs: Sequence[Spec]) -> Architecture:
    """The layer behind weights, which ask for its gradient; one that takes indices has its own."""
    inputs = [spec if spec.vocabulary is not None else Spec((1,)) for spec in specs]
    members: list[Layer] = []
    nodes: list[Node] = []
    values = list(range(len(inputs)))
    for which, spec in enumerate(specs):
        before = (Dense(units=spec.size), Reshape(shape=spec.shape))
        for member in before[: min(spec.rank, 2)] if spec.vocabulary is None else ():
            nodes.append(Node(len(members), (values[which],)))
            members.append(member)
            values[which] = len(inputs) + len(nodes) - 1
    nodes.append(Node(len(members), tuple(values)))
    block = Block(arity=len(inputs), members=(*members, layer), nodes=tuple(nodes))
    return Architecture(tuple(inputs), block)


def smallest_case(kind: str, backend: str, dtype: Dtype, device: str = "cpu") -> Case:
    """A gradient through the simplest layer of a kind.

    Raises CaseError where there is none: for dtypes that a layer or a device does not take.
    """
    return small_case(*simplest(kind, CONTRACTS[backend]), backend, dtype, device)


def small_case(
    layer: Layer, specs: Sequence[Spec], backend: str, dtype: Dtype, device: str = "cpu"
) -> Case:
    """A gradient through a layer of these values, in the first of the backend's modes."""
    contract = CONTRACTS[backend]
    architecture = _network(layer, specs)
    rng = np.random.default_rng(0)

    def numbers(shape: Sequence[int]) -> Any:
        return frozen(rng.integers(1, GRID, size=shape) / GRID)

    inputs = tuple(
        numbers((_SAMPLES, *spec.shape))
        if spec.vocabulary is None
        else frozen(rng.integers(0, spec.vocabulary, size=(_SAMPLES, *spec.shape)))
        for spec in architecture.inputs
    )
    (output,) = architecture.outputs
    options = {option.name: option.values[0] for option in contract.options}
    return (
        Case(
            architecture=architecture,
            weights={name: numbers(p.shape) for name, p in architecture.parameters.items()},
            batches=(Batch(inputs, (numbers((_SAMPLES, *output.shape)),), (None,)),),
            program=(Gradient(0),),
            optimizer=SGD(),
            objective=(Term(),),
            dtype=dtype,
            training=True,
            input_gradient=False,
            seed=0,
            realisations={backend: Realisation(contract.mode_names[0], (None,), options)},
        )
        .on(device)
        .check()
    )
