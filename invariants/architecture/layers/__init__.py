"""The registry of layers: everything that walks over layers starts here."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from invariants.architecture.layers import (
    activations,
    adapters,
    attention,
    convolution,
    dense,
    depthwise,
    embedding,
    grouping,
    indexing,
    lora,
    merging,
    noise,
    normalization,
    packed_attention,
    piecewise,
    pooling,
    prompting,
    recurrent,
    resizing,
    shaping,
    skipping,
    spectral,
    transformers,
    transposed,
    volumes,
    weight_norm,
)
from invariants.architecture.layers.base import Layer

_CLASSES: tuple[type[Layer], ...] = (
    *dense.LAYERS,
    *activations.LAYERS,
    *piecewise.LAYERS,
    *normalization.LAYERS,
    *grouping.LAYERS,
    *noise.LAYERS,
    *convolution.LAYERS,
    *depthwise.LAYERS,
    *pooling.LAYERS,
    *transposed.LAYERS,
    *volumes.LAYERS,
    *resizing.LAYERS,
    *indexing.LAYERS,
    *shaping.LAYERS,
    *merging.LAYERS,
    *lora.LAYERS,
    *adapters.LAYERS,
    *weight_norm.LAYERS,
    *recurrent.LAYERS,
    *attention.LAYERS,
    *packed_attention.LAYERS,
    *transformers.LAYERS,
    *embedding.LAYERS,
    *skipping.LAYERS,
    *prompting.LAYERS,
    *spectral.LAYERS,
)

#: kind -> class, the simplest first.
LAYERS: dict[str, type[Layer]] = {cls.kind_of(): cls for cls in _CLASSES}

if TYPE_CHECKING:
    AnyLayer: TypeAlias = Layer
else:
    AnyLayer = Annotated[reduce(or_, _CLASSES), Field(discriminator="kind")]
