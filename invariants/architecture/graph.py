"""The graph of layers: members, and calls of them.

A `Block` is a submodule: it owns members (layers or blocks), and calls them on its inputs and on
earlier results. The same member may be called more than once. The top of an architecture is a block
too, so a network, a submodule and a submodule of a submodule are one and the same thing.

Names come from the numbering alone: member 2 of kind "dense" is `dense_2`, and inside member 1, a
block, its path is `block_1.dense_2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.base import Layer, Parameter, ShapeError, Spec, describe
from invariants.document import Document, echoed

Index = Annotated[int, Field(ge=0)]

#: Submodules nest this deep at most, the network itself not counted.
MAX_DEPTH = 3

#: A network has this many inputs at most, and as many outputs.
MAX_ENDS = 3


@dataclass(frozen=True)
class Node(Document):
    """One call: which member, on which values of the block (its inputs first, then results)."""

    member: Index
    inputs: tuple[Index, ...]


@dataclass(frozen=True, kw_only=True)
class Block(Document):
    """A graph with `arity` inputs; the result of its last node is its output."""

    kind: Literal["block"] = "block"
    arity: Annotated[int, Field(ge=1)] = 1
    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    nodes: Annotated[tuple[Node, ...], Field(min_length=1)]

    def name(self, member: int) -> str:
        return f"{self.members[member].kind}_{member}"

    def index(self, name: str) -> int:
        return int(name.rsplit("_", 1)[1])


Member = Annotated[AnyLayer | Block, Field(discriminator="kind")]


@dataclass(frozen=True)
class Placed:
    """A layer at its place: its path, the shapes it was built for, its parameters, its uses."""

    path: str
    layer: Layer
    specs: tuple[Spec, ...]
    parameters: tuple[Parameter, ...]
    calls: int


def join(path: str, name: str) -> str:
    """The path of a member of the module at `path`; the network itself has the path ""."""
    return f"{path}.{name}" if path else name


def within(path: str, module: str) -> bool:
    """Whether `path` is `module` or lies inside it."""
    return not module or path == module or path.startswith(module + ".")


def overlap(one: str, other: str) -> bool:
    """Whether one of two paths lies within the other."""
    return within(one, other) or within(other, one)


def _by_module(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each module and path, with those of `paths` that are within it, in their order."""
    inside: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split(".") if path else []
        for depth in range(len(parts) + 1):
            inside.setdefault(".".join(parts[:depth]), []).append(path)
    return {module: tuple(held) for module, held in inside.items()}


@dataclass(frozen=True)
class _Typed:
    """A value's type, and the layers and inputs that it depends on."""

    spec: Spec
    layers: frozenset[str] = frozenset()


class _Placing:
    """Walks through a block as a forward pass would, with shapes in place of values."""

    def __init__(self) -> None:
        self.specs: dict[str, tuple[Spec, ...]] = {}
        self.layers: dict[str, Layer] = {}
        self.calls: dict[str, int] = {}
        self.blocks: dict[str, tuple[Spec, ...]] = {}
        self.upstream: dict[str, frozenset[str]] = {}

    def block(
        self,
        block: Block,
        path: str,
        inputs: Sequence[_Typed],
        depth: int,
        taps: Sequence[int] = (),
    ) -> list[_Typed]:
        """The types of all values; what is among `taps` need not be used."""
        if depth > MAX_DEPTH:
            raise ShapeError(f"{path}: submodules nest deeper than {MAX_DEPTH}")
        if len(inputs) != block.arity:
            raise ShapeError(
                f"{path or 'network'}: {len(inputs)} inputs, takes {echoed(block.arity)}"
            )
        self._once(self.blocks, path, tuple(value.spec for value in inputs))
        values = list(inputs)
        for number, node in enumerate(block.nodes):
            where = f"{path or 'network'}, node {number}"
            if node.member >= len(block.members):
                raise ShapeError(f"{where}: there is no member {echoed(node.member)}")
            if any(i >= len(values) for i in node.inputs):
                raise ShapeError(f"{where}: takes a value that no earlier node made")
            given = tuple(values[i] for i in node.inputs)
            values.append(self._member(block, node.member, path, given, depth, where))
        called = {node.member for node in block.nodes}
        if len(called) != len(block.members):
            idle = min(set(range(len(block.members))) - called)
            raise ShapeError(f"{path or 'network'}: member {idle} is never called")
        used = {*taps, *(i for node in block.nodes for i in node.inputs)}
        for value in range(len(values) - 1):
            if value not in used:
                raise ShapeError(f"{path or 'network'}: value {value} is never used")
        return values

    def _member(
        self,
        block: Block,
        member: int,
        path: str,
        given: tuple[_Typed, ...],
        depth: int,
        where: str,
    ) -> _Typed:
        name = join(path, block.name(member))
        child = block.members[member]
        if isinstance(child, Block):
            return self.block(child, name, given, depth + 1)[-1]
        specs = tuple(value.spec for value in given)
        if child.arity is not None and len(specs) != child.arity:
            raise ShapeError(f"{where}: {name} takes {child.arity} value, is given {len(specs)}")
        try:
            output = child.output(specs)
        except ShapeError as error:
            raise ShapeError(f"{where}: {name}: {error}") from None
        self._once(self.specs, name, specs)
        self.layers[name] = child
        self.calls[name] = self.calls.get(name, 0) + 1
        above = frozenset[str]().union(*(value.layers for value in given))
        self.upstream[name] = self.upstream.get(name, frozenset()) | above
        return _Typed(output, above | {name})

    @staticmethod
    def _once(known: dict[str, tuple[Spec, ...]], name: str, specs: tuple[Spec, ...]) -> None:
        """A member is built for the shapes of its first call and can take no others."""
        if known.setdefault(name, specs) != specs:
            raise ShapeError(f"{name} was built for {describe(known[name])}, not {describe(specs)}")


@dataclass(frozen=True)
class Architecture(Document):
    """A network: the types of its inputs, the graph of its layers, and which values it puts out.

    Output 0 is the last value of the graph; `taps` are the numbers of further ones, by which a
    network has auxiliary heads.
    """

    inputs: Annotated[tuple[Spec, ...], Field(min_length=1, max_length=MAX_ENDS)]
    network: Block
    taps: Annotated[tuple[Index, ...], Field(max_length=MAX_ENDS - 1)] = ()

    @property
    def output_values(self) -> tuple[int, ...]:
        """The numbers of the values that it puts out."""
        return (len(self.inputs) + len(self.network.nodes) - 1, *self.taps)

    @cached_property
    def _placing(self) -> tuple[_Placing, tuple[_Typed, ...]]:
        placing = _Placing()
        inputs = [_Typed(spec, frozenset((f"input_{n}",))) for n, spec in enumerate(self.inputs)]
        last = self.output_values[0]
        for tap in self.taps:
            if not len(inputs) <= tap < last:
                raise ShapeError(f"taps: value {echoed(tap)} is no result before the last one")
        if len(set(self.taps)) < len(self.taps):
            raise ShapeError("taps: a value is put out twice")
        values = placing.block(self.network, "", inputs, 0, self.taps)
        outputs = tuple(values[value] for value in self.output_values)
        if any(output.spec.vocabulary is not None for output in outputs):
            raise ShapeError("the network puts out indices")
        return placing, outputs

    @cached_property
    def outputs(self) -> tuple[Spec, ...]:
        """The types of the outputs; raises ShapeError where the layers do not fit together."""
        return tuple(output.spec for output in self._placing[1])

    def above(self, output: int) -> frozenset[str]:
        """The layers that an output depends on, and the inputs, as "input_N"."""
        return self._placing[1][output].layers

    @cached_property
    def layers(self) -> tuple[Placed, ...]:
        """Every layer, each once, in the order of its first call."""
        placing = self._placing[0]
        return tuple(
            Placed(path, layer, placing.specs[path], layer.parameters(placing.specs[path]), n)
            for (path, layer), n in zip(placing.layers.items(), placing.calls.values(), strict=True)
        )

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """path.name -> parameter, in the order of the layers."""
        return {
            join(placed.path, parameter.name): parameter
            for placed in self.layers
            for parameter in placed.parameters
        }

    @cached_property
    def weights(self) -> tuple[str, ...]:
        """The names of the parameters that an optimizer moves unless they are frozen."""
        return tuple(name for name, p in self.parameters.items() if p.role == "weight")

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The paths of the submodules, the network itself left out."""
        return tuple(path for path in self._placing[0].blocks if path)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every module: the network, its submodules, its layers with or without weights."""
        return ("", *self.blocks, *(placed.path for placed in self.layers))

    def block_specs(self, path: str) -> tuple[Spec, ...]:
        """What the submodule at `path` was built for."""
        return self._placing[0].blocks[path]

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """The paths that can be frozen as a whole: network, submodules and layers with weights."""
        layers = tuple(p.path for p in self.layers if any(q.role == "weight" for q in p.parameters))
        blocks = tuple(b for b in self.blocks if any(within(layer, b) for layer in layers))
        return ("", *blocks, *layers) if layers else ()

    def upstream(self, path: str) -> frozenset[str]:
        """The layers whose results reach the layer at `path`, and the inputs, as "input_N"."""
        return self._placing[0].upstream[path]

    @cached_property
    def before_steps_first(self) -> frozenset[str]:
        """The layers whose results reach one that works with the steps before the samples."""
        reached = (self.upstream(p.path) for p in self.layers if p.layer.steps_first)
        return frozenset[str]().union(*reached)

    def weights_in(self, target: str) -> tuple[str, ...]:
        """The weights that a freeze of `target` reaches: a module's path or a weight's name."""
        return self._weights_in.get(target, ())

    def owner(self, parameter: str) -> Layer:
        """The layer that a parameter belongs to."""
        return self._placing[0].layers[parameter.rpartition(".")[0]]

    def paths_in(self, target: str) -> tuple[str, ...]:
        """The modules at and inside `target`; none in a weight."""
        return self._paths_in.get(target, ())

    @cached_property
    def _weights_in(self) -> dict[str, tuple[str, ...]]:
        return _by_module(self.weights)

    @cached_property
    def _paths_in(self) -> dict[str, tuple[str, ...]]:
        return _by_module(self.paths)

    @cached_property
    def asked(self) -> frozenset[str]:
        """The kinds of its layers, and the points of a contract of which they need something."""
        needs = (point for placed in self.layers for point in placed.layer.needs())
        return frozenset({placed.layer.kind for placed in self.layers}.union(needs))

    @property
    def stochastic(self) -> bool:
        """Holds a layer that is random in training mode."""
        return any(placed.layer.stochastic for placed in self.layers)

    def walk_blocks(self) -> Iterator[tuple[str, Block]]:
        """Every block with its path, inner ones first: the order in which code defines them."""
        yield from _walk(self.network, "")


def _walk(block: Block, path: str) -> Iterator[tuple[str, Block]]:
    for index, member in enumerate(block.members):
        if isinstance(member, Block):
            yield from _walk(member, join(path, block.name(index)))
    yield path, block
