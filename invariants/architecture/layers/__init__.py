"""The registry of layers: everything that walks over layers starts here."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from invariants.architecture.layers.activations import (
    Elu,
    Gelu,
    LeakyRelu,
    Relu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from invariants.architecture.layers.base import Layer
from invariants.architecture.layers.convolution import (
    AvgPool2D,
    Conv2D,
    GlobalAvgPool2D,
    MaxPool2D,
)
from invariants.architecture.layers.dense import Dense, Projection
from invariants.architecture.layers.normalization import BatchNorm, Dropout, LayerNorm
from invariants.architecture.layers.shaping import (
    Add,
    Concatenate,
    Embedding,
    Flatten,
    Multiply,
    Reshape,
)

AnyLayer = Annotated[
    Dense
    | Relu
    | LeakyRelu
    | Elu
    | Gelu
    | Silu
    | Softplus
    | Tanh
    | Sigmoid
    | Softmax
    | LayerNorm
    | BatchNorm
    | Dropout
    | Conv2D
    | MaxPool2D
    | AvgPool2D
    | GlobalAvgPool2D
    | Embedding
    | Flatten
    | Reshape
    | Add
    | Multiply
    | Concatenate
    | Projection,
    Field(discriminator="kind"),
]

_CLASSES: tuple[type[Layer], ...] = get_args(get_args(AnyLayer)[0])

#: kind -> class, the simplest first.
LAYERS: dict[str, type[Layer]] = {cls.kind_of(): cls for cls in _CLASSES}
