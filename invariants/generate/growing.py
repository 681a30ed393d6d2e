"""A network in the making: layers added one by one, each fit for the values that it takes.

It grows at its latest value, now and then at an earlier one (a branch or a skip connection), by a
new layer, another call of one that it has, a submodule, or a merge. Values that nobody used are
joined at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from invariants.architecture.graph import MAX_DEPTH, Architecture, Block, Member, Node
from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.activations import Relu
from invariants.architecture.layers.base import Layer, ShapeError, Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.indexing import Split
from invariants.architecture.layers.shaping import Add, Concatenate, Flatten
from invariants.generate.choice import Drawn
from invariants.oracle.losses import CLASSIFYING, LOSSES

#: Values are kept at most this large, so that a case stays a matter of milliseconds.
MAX_SIZE = 64


@lru_cache(maxsize=4096)
def _kinds(specs: tuple[Spec, ...], merging: bool, lacking: frozenset[str]) -> tuple[str, ...]:
    """The kinds that take values of `specs`, the simplest first, each as often as it says."""
    return tuple(
        kind
        for kind, layer in LAYERS.items()
        if kind not in lacking
        and (layer.arity != 1) == merging
        and layer.accepts(specs)
        and layer.worth_drawing(specs)
        for _ in range(layer.frequency_among(specs))
    )


#: How often a layer is drawn until it has weights and leaves a value that the wanted layer takes.
_TRIES = 4

#: How often the wanted layer is drawn until it has the options that it is wanted with.
_TRIES_OF_OPTIONS = 50

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})

_GROWTH = ("layer",) * 12 + ("again",) * 2 + ("merge",) * 2 + ("block",) * 2


def _takes(layer: Layer, specs: Sequence[Spec]) -> bool:
    """Whether a layer, as it is, takes these values, and what it makes of them is small enough."""
    try:
        return layer.accepts(specs) and layer.output(specs).size <= MAX_SIZE
    except ShapeError:
        return False


class Growing:
    """A block in the making."""

    def __init__(
        self,
        choice: Drawn,
        inputs: Sequence[Spec],
        depth: int,
        wanted: str = "",
        options: Mapping[str, Any] = NO_OPTIONS,
        parted: bool = False,
    ) -> None:
        """wanted: a kind of layer that the network is to have, where its values allow, and options:
        with what of its options. parted: given a part of a value, where that has several.
        """
        self.parted = parted
        self.options = {n: tuple(v) if isinstance(v, list) else v for n, v in options.items()}
        self.choice = choice
        self.depth = depth
        self.wanted = wanted
        #: For how many layers with weights the wanted one waits before it, so that it is met
        #: downstream of a frozen one, too; and how many there are before each value.
        self.patience = choice.one_of((0, 1, 2, 2)) if wanted else 0
        self.learned = [0] * len(inputs)
        self.inputs = len(inputs)
        self.specs = list(inputs)
        self.members: list[Member] = []
        self.built: list[tuple[Spec, ...]] = []
        self.outputs: list[Spec] = []
        self.nodes: list[Node] = []
        self.unused = set(range(len(inputs)))

    @property
    def latest(self) -> int:
        return len(self.specs) - 1

    def call(self, member: int, values: Sequence[int]) -> int:
        self.nodes.append(Node(member, tuple(values)))
        self.unused.difference_update(values)
        self.specs.append(self.outputs[member])
        made = self.members[member]
        weighs = isinstance(made, Block) or bool(made.parameters(self.built[member]))
        self.learned.append(weighs + max(self.learned[v] for v in values))
        self.unused.add(self.latest)
        return self.latest

    def add(self, member: Member, values: Sequence[int], output: Spec) -> int:
        self.members.append(member)
        self.built.append(tuple(self.specs[v] for v in values))
        self.outputs.append(output)
        return self.call(len(self.members) - 1, values)

    def add_layer(self, layer: Layer, values: Sequence[int]) -> int:
        output = layer.output([self.specs[v] for v in values])
        return self.add(layer, values, output)

    def chain(self, *layers: Layer) -> int:
        """The layers one behind the other, from the latest value on."""
        for layer in layers:
            self.add_layer(layer, [self.latest])
        return self.latest

    def submodule(self, build: Callable[[Growing], object], values: Sequence[int]) -> int:
        """A submodule of these values, which `build` fills."""
        inner = Growing(self.choice, [self.specs[v] for v in values], self.depth + 1)
        build(inner)
        return self.add(inner.finish(), values, inner.specs[-1])

    def grow(self) -> None:
        value = self._source()
        spec = self.specs[value]
        # Indices come only once; of other values there may be more, behind other layers.
        ready = self.learned[value] >= self.patience
        due = spec.vocabulary is not None or (ready and self.choice.boolean())
        if due and self._grant(value):
            return
        if spec.vocabulary is not None:
            self._any_layer(value)
            return
        kind = self.choice.one_of(_GROWTH)
        if kind == "again" and self._again():
            return
        if kind == "merge" and self._merge(value):
            return
        if kind == "block" and self.depth < MAX_DEPTH:
            length = self.choice.integer(1, 3)
            block, output = grow_block(self.choice, [spec], self.depth + 1, length)
            self.add(block, [value], output)
            return
        self._any_layer(value)

    def grant(self) -> None:
        """The wanted layer, where it is missing still: behind as many weights as it fits."""
        if not self.wanted:
            return
        values = range(self.latest, -1, -1)
        for value in sorted(values, key=lambda value: -self.learned[value]):
            if self._grant(value):
                return

    def _grant(self, value: int) -> bool:
        """The wanted layer, where it takes the value, alone or with an earlier one."""
        if self._takes_alone(self.specs[value]):
            if self.parted:
                value = self._part(value)
            layer = self._drawn_as_wanted(value)
            if layer is None:
                return False
            self.add_layer(layer, [value])
        elif not self._merge(value, self.wanted):
            return False
        self.wanted = ""
        return True

    def _part(self, value: int) -> int:
        """A part of a value that the wanted layer takes as well, or the value; its number."""
        spec = self.specs[value]
        for _ in range(_TRIES):
            layer = Split.draw(self.choice, [spec])
            if layer.parts > 1 and self._takes_alone(layer.output([spec])):
                return self.add_layer(layer, [value])
        return value

    def _drawn_as_wanted(self, value: int) -> Layer | None:
        """The wanted layer for a value, with the options that it is wanted with if possible."""
        for _ in range(_TRIES_OF_OPTIONS):
            layer = self._drawn(self.wanted, value)
            if all(getattr(layer, name, None) == kept for name, kept in self.options.items()):
                break
        return layer

    def _takes_alone(self, spec: Spec) -> bool:
        """Whether the wanted layer takes a value of `spec`."""
        return self.wanted in _kinds((spec,), False, self.choice.lacking)

    def _source(self) -> int:
        """The latest value, now and then any other."""
        if self.latest > 0 and self.choice.chance(5):
            return self.choice.integer(0, self.latest)
        return self.latest

    def _drawn(self, kind: str, value: int) -> Layer | None:
        """A layer of a kind for a value; None where its result would be too large."""
        specs = [self.specs[value]]
        layer = LAYERS[kind].draw(self.choice, specs)
        return layer if layer.output(specs).size <= MAX_SIZE else None

    def _layer(self, kind: str, value: int) -> None:
        self.add_layer(self._drawn(kind, value) or Relu(), [value])

    def _any_layer(self, value: int) -> None:
        """A layer for a value; while one is wanted that takes it, one with weights before that."""
        spec = self.specs[value]
        kinds = _kinds((spec,), False, self.choice.lacking)
        layer = None
        for _ in range(_TRIES if self._takes_alone(spec) else 1):
            layer = self._drawn(self.choice.one_of(kinds), value)
            if layer and layer.parameters([spec]) and self._takes_alone(layer.output([spec])):
                break
        self.add_layer(layer or Relu(), [value])

    def _again(self) -> bool:
        """Another call of a member that fits some value, the latest first."""
        for value in range(self.latest, max(-1, self.latest - 4), -1):
            for member in range(len(self.members) - 1, -1, -1):
                if self.built[member] == (self.specs[value],):
                    self.call(member, [value])
                    return True
        return False

    def _merge(self, value: int, kind: str | None = None) -> bool:
        """The value with another of a shape that fits, by a layer of `kind` if one is named."""
        spec = self.specs[value]
        for other in range(self.latest, -1, -1):
            pair = [self.specs[other], spec]
            kinds = _kinds(tuple(pair), True, self.choice.lacking)
            if other == value or not kinds or (kind is not None and kind not in kinds):
                continue
            layer = LAYERS[kind or self.choice.one_of(kinds)].draw(self.choice, pair)
            if _takes(layer, pair):
                self.add_layer(layer, [*self._third(layer, other, value), other, value])
                return True
        return False

    def _third(self, layer: Layer, *pair: int) -> list[int]:
        """At times one more value for a layer that merges any number of them."""
        if layer.arity is not None or not self.choice.chance(3):
            return []
        for third in range(self.latest, -1, -1):
            specs = [self.specs[value] for value in (third, *pair)]
            if third not in pair and _takes(layer, specs):
                return [third]
        return []

    def join_loose_ends(self) -> int:
        """One value that everything flows into; its number."""
        for value in sorted(self.unused):
            if self.specs[value].vocabulary is not None:
                self._layer("embedding", value)
        loose = sorted(self.unused)
        while len(loose) > 1:
            a, b = loose.pop(), loose.pop()
            loose.append(self._join(b, a))
        return loose[0]

    def _join(self, a: int, b: int) -> int:
        pair = [self.specs[a], self.specs[b]]
        if Add.accepts(pair):
            return self.add_layer(Add(), [a, b])
        if not Concatenate.accepts(pair):
            a, b = self.flat(a), self.flat(b)
            pair = [self.specs[a], self.specs[b]]
        return self.add_layer(Concatenate(axis=Concatenate.fitting(pair)[0]), [a, b])

    def flat(self, value: int) -> int:
        """The value as a vector."""
        if self.specs[value].rank == 1:
            return value
        return self.add_layer(Flatten(), [value])

    def head(self, value: int, loss: str, *, required: bool) -> int:
        """The value, or a layer behind it, as an output that fits `loss`; its number.

        required: there must be a layer behind it.
        """
        spec, target = self.specs[value], LOSSES[loss].target
        if loss in CLASSIFYING:  # logits, which no activation puts out
            tagged = spec.rank == 2 and self.choice.boolean()
            source = value if tagged else self.flat(value)
            return self.add_layer(Dense(units=self.choice.integer(2, 4)), [source])
        if target in ("binary", "signs"):
            return self.add_layer(Dense(units=self.choice.integer(1, 4)), [self.flat(value)])
        wanted = target == "nonzero" or self.choice.integer(0, 3) > 0
        if required or (spec.rank < 3 and wanted):
            source = value if spec.rank < 3 else self.flat(value)
            least = 2 if target == "nonzero" else 1
            return self.add_layer(Dense(units=self.choice.integer(least, 3)), [source])
        return value

    def architecture(self, taps: Sequence[int] = ()) -> Architecture:
        return Architecture(tuple(self.specs[: self.inputs]), self.finish(), tuple(taps))

    def finish(self) -> Block:
        return Block(arity=self.inputs, members=tuple(self.members), nodes=tuple(self.nodes))


def grow_block(
    choice: Drawn, inputs: Sequence[Spec], depth: int, length: int
) -> tuple[Block, Spec]:
    """A submodule of about `length` layers and the type of its result."""
    growing = Growing(choice, inputs, depth)
    for _ in range(length):
        growing.grow()
    growing.join_loose_ends()
    return growing.finish(), growing.specs[-1]
