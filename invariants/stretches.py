"""The stretches of a network that are recomputed behind what comes before them.

People checkpoint the blocks behind an embedding or a stem. A variant of it that runs a stretch
without a graph learns from the stretch's inputs alone whether anything in it is to have a gradient,
so it matters which of them need one.
"""

from __future__ import annotations

from collections.abc import Collection

from invariants.architecture.graph import Architecture, Block

#: In how many segments a chain is run, where it is long enough.
SEGMENTS = 3


def stretches(architecture: Architecture, sequence: bool = False) -> tuple[int, ...]:
    """The nodes of the network that are recomputed: every second of those that can be.

    Such a node has weights, is the only call of its member, and does not read the network's inputs.
    sequence: it is those of a chain in segments instead, of all segments but the last one.
    """
    if sequence:
        run = in_segments(architecture)
        segments = min(SEGMENTS, len(run))
        return tuple(run[: len(run) // segments * (segments - 1)]) if run else ()
    block = architecture.network
    calls = [node.member for node in block.nodes]
    behind = [
        number
        for number, node in enumerate(block.nodes)
        if min(node.inputs) >= block.arity
        and calls.count(node.member) == 1
        and architecture.weights_in(block.name(node.member))
    ]
    return tuple(behind[::2])


def in_segments(architecture: Architecture) -> range:
    """The chain of the network that is run in segments, each but the last one recomputed.

    Its nodes are the only calls of their members, and do not read the network's inputs.
    """
    block = architecture.network
    calls = [node.member for node in block.nodes]
    others = {
        number
        for number, node in enumerate(block.nodes)
        if min(node.inputs) < block.arity or calls.count(node.member) > 1
    }
    return chain(block, architecture.output_values, others)


def without_inputs(
    architecture: Architecture,
    chosen: Collection[int],
    trainable: frozenset[str],
    inputs: Collection[int],
) -> frozenset[int]:
    """The nodes of stretches none of whose inputs needs a gradient.

    chosen: the nodes of all stretches. inputs: the numbers of the network's inputs that need one.
    What such a stretch puts out needs none either, whatever is trainable in it.
    """
    block = architecture.network
    needs = [number in inputs for number in range(block.arity)]
    found = set()
    for number, node in enumerate(block.nodes):
        above = any(needs[value] for value in node.inputs)
        if number in chosen and not above:
            found.add(number)
        inside = architecture.weights_in(block.name(node.member))
        needs.append(above or (number not in chosen and not trainable.isdisjoint(inside)))
    return frozenset(found)


def chain(block: Block, taps: Collection[int] = (), others: Collection[int] = ()) -> range:
    """The longest run of nodes each of which takes the value before it, which nothing else reads.

    The first one takes any one value. taps: the values that leave the block. others: the nodes that
    are in no run. There is no chain of one node.
    """
    read = [value for node in block.nodes for value in node.inputs]
    found = run = range(0)
    for number, node in enumerate(block.nodes):
        before = block.arity + number - 1
        goes_on = run and node.inputs == (before,) and read.count(before) == 1
        if number in others:
            run = range(0)
        elif goes_on and before not in taps:
            run = range(run.start, number + 1)
        else:
            run = range(number, number + (len(node.inputs) == 1))
        found = max(found, run, key=len)
    return found if len(found) > 1 else range(0)
