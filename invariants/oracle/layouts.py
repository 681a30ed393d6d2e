"""Where torch may lay out a result in another order than its trace.

That is so of all tangents at once, where the trace is of one of them.

A convolution puts out channels last where its input lies so. An input of one channel lies both
ways, and which it is taken for depends on the strides of an axis of length 1; zeros around an image
are laid out by a guess as well. One channel that comes of it is laid out the same either way.

An instance norm views samples and channels as one axis. That is refused behind a convolution that
has all tangents of its kernel at once, and none of what goes in: they lie between its channels.

Rows that are looked up in all tangents of a table at once lie between each other's features.

A part of one sample may be contiguous where the same part of all of them is not. vmap answers for
the one, and hands a group norm the others as they lie.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from invariants.architecture.graph import Block

if TYPE_CHECKING:
    from invariants.architecture.graph import Architecture, Placed

#: Kernels of a CPU that give a contiguous result, or one in the order of a gradient that comes in,
#: where element by element the order of what goes in would be kept; forward, backward or both.
_ORDERING = (
    "batch_norm",
    "celu",
    "elu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "log_sigmoid",
    "log_softmax",
    "relu6",
    "selu",
)
_ORDERING_LOSSES = ("huber", "mse")

_CONVOLUTIONS = (
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_transpose",
    "depthwise_conv1d",
    "depthwise_conv2d",
    "lora_conv2d",
)

#: Which look up rows in a table with `embeddings`, and put them out.
_TABLES = ("embedding", "lora_embedding")

#: Which may surround an image with zeros before they convolve it.
_PADDED = ("conv2d", "depthwise_conv2d", "lora_conv2d", "separable_conv2d")

#: Which put out a part of what they are given, as it lies.
_PARTS = ("conv1d_transpose", "conv2d_transpose", "cropping1d", "cropping2d", "slice", "split")

#: Which put out a view of what they are given, or that itself: a random layer that draws nothing.
_VIEWS = (
    "alpha_dropout",
    "dropout",
    "flatten",
    "gaussian_noise",
    "permute",
    "reshape",
    "spatial_dropout1d",
    "spatial_dropout2d",
)


def normalises_a_part(architecture: Architecture) -> bool:
    """Whether a group norm is given a view of what a layer takes a part of."""
    values = [False] * len(architecture.inputs)
    return _follow_parts(architecture.network, values)


def _follow_parts(block: Block, values: list[bool]) -> bool:
    """Whether a group norm within a block meets a part; appends which results of its are one."""
    met = False
    for node in block.nodes:
        member, given = block.members[node.member], [values[n] for n in node.inputs]
        if isinstance(member, Block):
            inside = [*given]
            met |= _follow_parts(member, inside)
            values.append(inside[-1])
        else:
            met |= member.kind == "group_norm" and given[0]
            values.append(member.kind in _PARTS or (member.kind in _VIEWS and given[0]))
    return met


def lays_out_otherwise(architecture: Architecture, changing: Collection[str]) -> bool:
    """Whether such a layer is given a tangent, and another layer comes behind it.

    changing: the weights and inputs by which the loss is differentiated.
    """
    sources = {name.rpartition(".")[0] or name for name in changing}
    placed, nothing = architecture.layers, frozenset[str]()
    followed = nothing.union(*(architecture.upstream(p.path) for p in placed))
    normed = nothing.union(
        *(architecture.upstream(p.path) for p in placed if p.layer.kind == "instance_norm")
    )
    kernels = {name.rpartition(".")[0] for name in changing if not name.endswith("bias")}
    looked_up = any(
        f"{p.path}.embeddings" in changing and p.path in followed and _of_several_features(p)
        for p in placed
    )
    given = {p.path for p in placed if not sources.isdisjoint(architecture.upstream(p.path))}
    return looked_up or any(
        (p.path in followed and _lies_both_ways(p))
        if p.path in given
        else (p.path in normed and "conv" in p.layer.kind and p.path in kernels)
        for p in placed
    )


def strides_of_their_own(architecture: Architecture, losses: Mapping[int, str]) -> bool:
    """Whether a kernel lays out its result otherwise than a trace of its decomposition says.

    Where a view follows that only the trace allows, it is refused. losses: those that are traced,
    by the number of the output that each is of.
    """
    layers = (p.layer.kind in _ORDERING and p.specs[0].rank > 1 for p in architecture.layers)
    outputs = architecture.outputs
    return any(layers) or any(
        loss in _ORDERING_LOSSES and outputs[number].rank > 1 for number, loss in losses.items()
    )


def _of_several_features(placed: Placed) -> bool:
    """Whether it looks up several rows of several features in a table."""
    steps, features = (*placed.layer.output(placed.specs).shape, 1)[:2]
    return placed.layer.kind in _TABLES and steps > 1 and features > 1


def _lies_both_ways(placed: Placed) -> bool:
    kind, (given, *_) = placed.layer.kind, placed.specs
    if placed.layer.output(placed.specs).shape[-1] == 1:
        return False
    if kind in _PADDED and getattr(placed.layer, "padding", "") == "same":
        return True
    return kind == "zero_padding2d" or (kind in _CONVOLUTIONS and given.shape[-1] == 1)
