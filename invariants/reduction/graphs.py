"""Parts of a network: each yields architectures with less in them, and what is called how there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from invariants.architecture.graph import Architecture, Block, Member, Node, join, within
from invariants.architecture.layers.base import Layer, Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.shaping import Flatten
from invariants.reduction.fitting import Renaming


@dataclass(frozen=True)
class Part:
    """An architecture made from another, and what its names and ends were there.

    inputs: which old input feeds each new one. outputs: which old output each new one is.
    """

    architecture: Architecture
    renamed: Renaming
    inputs: tuple[int, ...]
    outputs: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class _Pruned:
    """A block without what its outputs do not need."""

    block: Block
    members: dict[int, int]  # old number -> new number
    inputs: tuple[int, ...]  # the old inputs that are left
    values: dict[int, int]  # old number -> new number


def _pruned(
    arity: int,
    members: Sequence[Member],
    nodes: Sequence[Node],
    outputs: Sequence[int],
    keep_inputs: bool,
) -> _Pruned | None:
    """What the values `outputs` need; None where one is no node, or the first not the last."""
    if min(outputs) < arity or max(outputs) > outputs[0]:
        return None
    live, todo = set(), list(outputs)
    while todo:
        value = todo.pop()
        if value not in live:
            live.add(value)
            todo += nodes[value - arity].inputs if value >= arity else ()
    inputs = tuple(i for i in range(arity) if keep_inputs or i in live)
    order = [*inputs, *sorted(value for value in live if value >= arity)]
    number = {value: new for new, value in enumerate(order)}
    kept = sorted({nodes[value - arity].member for value in live if value >= arity})
    renumbered = {member: new for new, member in enumerate(kept)}
    block = Block(
        arity=len(inputs),
        members=tuple(members[m] for m in kept),
        nodes=tuple(
            Node(
                renumbered[nodes[v - arity].member],
                tuple(number[i] for i in nodes[v - arity].inputs),
            )
            for v in order[len(inputs) :]
        ),
    )
    return _Pruned(block, renumbered, inputs, number)


def _with_block(block: Block, path: str, changed: Callable[[Block], Block]) -> Block:
    """`block` with the submodule at `path` changed."""
    if not path:
        return changed(block)
    name, _, rest = path.partition(".")
    member = block.index(name)
    child = block.members[member]
    assert isinstance(child, Block)
    members = list(block.members)
    members[member] = _with_block(child, rest, changed)
    return replace(block, members=tuple(members))


def _renaming(path: str, children: dict[str, str]) -> Renaming:
    """Children of the block at `path` by their new paths; the others of its children are gone."""

    def renamed(name: str) -> tuple[str, ...]:
        for before, after in children.items():
            if within(name, before):
                return (after + name[len(before) :],)
        if name == path or not within(name, path):
            return (name,)
        return tuple(after for before, after in children.items() if within(before, name))

    return renamed


def _part(
    architecture: Architecture,
    path: str,
    block: Block,
    members: Sequence[Member],
    nodes: Sequence[Node],
    output: int,
    taps: Sequence[int] = (),
    inner: dict[str, int] | None = None,
    specs: Sequence[Spec] | None = None,
) -> Part | None:
    """The architecture whose block at `path` computes value `output` of `nodes`.

    taps: the values of the network that are its further outputs (the network itself only).
    inner: further old paths (below `path`) -> the number that their member has in `members`.
    specs: the types of the block's inputs, where they changed (the network itself only).
    """
    arity = len(specs) if specs is not None else block.arity
    taps = taps if not path else ()
    pruned = _pruned(arity, members, nodes, (output, *taps), keep_inputs=bool(path))
    if pruned is None:
        return None
    old_paths = {join(path, block.name(m)): m for m in range(len(block.members))}
    children = {}
    for before, member in {**(inner or {}), **old_paths}.items():
        if member in pruned.members:
            new = pruned.members[member]
            children[before] = join(path, pruned.block.name(new))
    network = _with_block(architecture.network, path, lambda _: pruned.block)
    given = specs if specs is not None else architecture.inputs
    kept = tuple(given[i] for i in pruned.inputs) if not path else architecture.inputs
    inputs = pruned.inputs if not path else tuple(range(len(kept)))
    kept_taps = architecture.taps if path else tuple(pruned.values[tap] for tap in taps)
    outputs = tuple(range(1 + len(kept_taps)))
    return Part(Architecture(kept, network, kept_taps), _renaming(path, children), inputs, outputs)


def with_head(part: Part) -> Part:
    """The part with a dense layer of one unit behind it: a network needs a weight to train."""
    inputs, block = part.architecture.inputs, part.architecture.network
    images = part.architecture.outputs[0].rank > 2
    head: tuple[Layer, ...] = (Flatten(), Dense()) if images else (Dense(),)
    last = block.arity + len(block.nodes) - 1
    nodes = tuple(Node(len(block.members) + n, (last + n,)) for n in range(len(head)))
    headed = replace(block, members=(*block.members, *head), nodes=(*block.nodes, *nodes))
    return replace(part, architecture=Architecture(inputs, headed), outputs=part.outputs[:1])


def blocks(architecture: Architecture) -> Iterator[tuple[str, Block, list[Spec]]]:
    """Every block, outer ones first, with the types of its values."""
    for path, block in reversed(list(architecture.walk_blocks())):
        specs = architecture.block_specs(path) if path else architecture.inputs
        yield path, block, value_specs(block, specs)


def value_specs(block: Block, inputs: Sequence[Spec]) -> list[Spec]:
    """The types of the inputs and of every result."""
    specs = list(inputs)
    for node in block.nodes:
        member = block.members[node.member]
        given = [specs[i] for i in node.inputs]
        specs.append(
            value_specs(member, given)[-1] if isinstance(member, Block) else member.output(given)
        )
    return specs


def endings(architecture: Architecture) -> Iterator[Part]:
    """The network with one output: each of its values, the earliest first."""
    yield from fewer_outputs(architecture)
    block = architecture.network
    for output in range(block.arity, block.arity + len(block.nodes) - 1):
        part = _part(architecture, "", block, block.members, block.nodes, output)
        if part is not None:
            yield part


def fewer_outputs(architecture: Architecture) -> Iterator[Part]:
    """The network with one of its outputs alone, then without each of the further ones."""
    block, taps = architecture.network, architecture.taps
    kept: list[tuple[int, ...]] = [(n,) for n in range(1 + len(taps))] if taps else []
    kept += [(0, *(m for m in range(1, 1 + len(taps)) if m != n)) for n in range(1, 1 + len(taps))]
    for outputs in dict.fromkeys(kept):
        first, *others = (architecture.output_values[n] for n in outputs)
        part = _part(architecture, "", block, block.members, block.nodes, first, others)
        if part is not None:
            yield replace(part, outputs=outputs)


def beginnings(architecture: Architecture) -> Iterator[Part]:
    """The network from each of its values on: the value becomes an input, the latest first."""
    block = architecture.network
    specs = value_specs(block, architecture.inputs)
    last = block.arity + len(block.nodes) - 1
    for value in range(last - 1, block.arity - 1, -1):
        # A new input 0 takes the value's place; everything else is numbered one further.
        nodes = [
            Node(node.member, tuple(0 if i == value else i + 1 for i in node.inputs))
            for node in block.nodes
        ]
        part = _part(
            architecture,
            "",
            block,
            block.members,
            nodes,
            last + 1,
            [0 if tap == value else tap + 1 for tap in architecture.taps],
            specs=[specs[value], *architecture.inputs],
        )
        if part is not None:
            yield replace(part, inputs=tuple(max(0, i - 1) for i in part.inputs))


def bypasses(architecture: Architecture) -> Iterator[Part]:
    """Each call left out, with what leads to it, whose result has the type of an earlier value.

    That is one which it is computed of, the earliest first.
    """
    for path, block, specs in blocks(architecture):
        last = block.arity + len(block.nodes) - 1
        above: list[set[int]] = [set() for _ in range(block.arity)]
        for number, node in enumerate(block.nodes):
            value = block.arity + number
            above.append(set(node.inputs).union(*(above[source] for source in node.inputs)))
            for source in sorted(above[value]):
                if specs[source] != specs[value]:
                    continue
                nodes = [
                    Node(n.member, tuple(source if i == value else i for i in n.inputs))
                    for n in block.nodes
                ]
                output = source if value == last else last
                taps = [source if tap == value else tap for tap in architecture.taps]
                part = _part(architecture, path, block, block.members, nodes, output, taps)
                if part is not None:
                    yield part


def inlined(architecture: Architecture) -> Iterator[Part]:
    """Each submodule dissolved into the module around it."""
    for path, block, _ in blocks(architecture):
        for number, child in enumerate(block.members):
            if isinstance(child, Block):
                yield _inlined(architecture, path, block, number, child)


def _inlined(
    architecture: Architecture, path: str, block: Block, number: int, child: Block
) -> Part:
    base = len(block.members)
    members = [*block.members, *child.members]
    nodes: list[Node] = []
    values = list(range(block.arity))  # old value -> new value
    for node in block.nodes:
        given = [values[i] for i in node.inputs]
        if node.member != number:
            nodes.append(Node(node.member, tuple(given)))
        else:
            inside = list(given)
            for inner in child.nodes:
                nodes.append(Node(base + inner.member, tuple(inside[i] for i in inner.inputs)))
                inside.append(block.arity + len(nodes) - 1)
        values.append(block.arity + len(nodes) - 1)
    around = join(path, block.name(number))
    inner_paths = {join(around, child.name(m)): base + m for m in range(len(child.members))}
    taps = [values[tap] for tap in architecture.taps] if not path else []
    last = block.arity + len(nodes) - 1
    part = _part(architecture, path, block, members, nodes, last, taps, inner_paths)
    assert part is not None
    return part


def plainer(architecture: Architecture) -> Iterator[Part]:
    """Each layer that adds something to one of another kind as that one."""
    for path, block, _ in blocks(architecture):
        for number, member in enumerate(block.members):
            plain = None if isinstance(member, Block) else member.plainer()
            if plain is not None:
                members = [*block.members[:number], plain, *block.members[number + 1 :]]
                last, taps = block.arity + len(block.nodes) - 1, architecture.taps
                part = _part(architecture, path, block, members, block.nodes, last, taps)
                if part is not None:
                    yield part


def layers(architecture: Architecture) -> Iterator[tuple[str, int, Layer]]:
    """Every layer by its place: the path of the block that owns it, its number there, the layer."""
    for path, block, _ in blocks(architecture):
        for number, member in enumerate(block.members):
            if not isinstance(member, Block):
                yield path, number, member


def with_layer(architecture: Architecture, path: str, number: int, layer: Layer) -> Architecture:
    """The architecture with one layer replaced by another of its kind."""

    def changed(block: Block) -> Block:
        members = list(block.members)
        members[number] = layer
        return replace(block, members=tuple(members))

    network = _with_block(architecture.network, path, changed)
    return replace(architecture, network=network)
