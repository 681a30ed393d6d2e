"""Where torch may lay out all tangents at once in another order than one of them.

A convolution puts out channels last where its input lies so. An input of one channel lies both
ways, and which it is taken for depends on the strides of an axis of length 1; zeros around an image
are laid out by a guess as well. One channel that comes of it is laid out the same either way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invariants.architecture.graph import Architecture, Placed

_CONVOLUTIONS = (
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_transpose",
    "depthwise_conv1d",
    "depthwise_conv2d",
    "lora_conv2d",
)

#: Which may surround an image with zeros before they convolve it.
_PADDED = ("conv2d", "depthwise_conv2d", "lora_conv2d", "separable_conv2d")


def lays_out_otherwise(architecture: Architecture, changing: Collection[str]) -> bool:
    """Whether such a layer is given a tangent, and another layer comes behind it.

    changing: the weights and inputs by which the loss is differentiated.
    """
    sources = {name.rpartition(".")[0] or name for name in changing}
    followed = frozenset[str]().union(*(architecture.upstream(p.path) for p in architecture.layers))
    return any(
        placed.path in followed
        and _lies_both_ways(placed)
        and not sources.isdisjoint(architecture.upstream(placed.path))
        for placed in architecture.layers
    )


def _lies_both_ways(placed: Placed) -> bool:
    kind, (given, *_) = placed.layer.kind, placed.specs
    if placed.layer.output(placed.specs).shape[-1] == 1:
        return False
    if kind in _PADDED and getattr(placed.layer, "padding", "") == "same":
        return True
    return kind == "zero_padding2d" or (kind in _CONVOLUTIONS and given.shape[-1] == 1)
