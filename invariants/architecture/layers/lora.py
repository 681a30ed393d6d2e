"""LoRA: a low-rank update of a weight that is frozen (Hu et al. 2021, arXiv 2106.09685).

Written by hand, the update is a path of its own beside the layer. Keras's own layers add it to the
weight, and freeze that when the update is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.convolution import Conv1D, Conv2D, Windowed2D, convolved
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.shaping import Embedding
from invariants.architecture.layers.volumes import Conv3D
from invariants.oracle.tape import Value

Alpha = Annotated[float, Field(gt=0.0, le=64.0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class LoraDense(Layer):
    """y = x @ kernel + bias + (alpha / rank) · (x @ lora_a) @ lora_b, over the last axis.

    Hu et al. 2021, arXiv 2106.09685: (..., in) -> (..., units), lora_a (in, rank), lora_b
    (rank, units).
    """

    kind: Literal["lora_dense"] = "lora_dense"
    frequency: ClassVar[int] = 2
    units: Size = 1
    rank: Size = 1
    alpha: Alpha = 1.0
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LoraDense:
        return cls(
            units=choice.integer(1, 5),
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1.0, 2.0, 0.5)),
            use_bias=not choice.boolean(),
        )

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank in (1, 2)

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape[:-1], self.units))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        inputs = specs[0].shape[-1]
        base = (
            Parameter("kernel", (inputs, self.units)),
            Parameter("bias", (self.units,), group="bias"),
        )
        factors = (
            Parameter("lora_a", (inputs, self.rank), group="adapter"),
            Parameter("lora_b", (self.rank, self.units), group="adapter"),
        )
        return (*base[: 1 + self.use_bias], *factors)

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        y = x @ call.parameter("kernel")
        if self.use_bias:
            y = y + call.parameter("bias")
        delta = x @ call.parameter("lora_a") @ call.parameter("lora_b")
        return y + delta * (self.alpha / self.rank)


@dataclass(frozen=True, kw_only=True)
class LoraConv2D(Windowed2D):
    """conv(x, kernel) + bias + (alpha / rank) · conv1x1(conv(x, lora_a), lora_b), (H, W, C) images.

    Hu et al. 2021, arXiv 2106.09685, as the package PEFT has it: lora_a (KH, KW, C, rank) goes over
    the image as the kernel does, lora_b (1, 1, rank, filters) over its result.
    """

    kind: Literal["lora_conv2d"] = "lora_conv2d"
    frequency: ClassVar[int] = 4
    filters: Size = 1
    rank: Size = 1
    alpha: Alpha = 1.0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LoraConv2D:
        return cls(
            filters=choice.integer(1, 3),
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1.0, 2.0, 0.5)),
            **cls.draw_windows(choice, specs[0]),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        window = (*self.kernel_size, specs[0].shape[2])
        base = (
            Parameter("kernel", (*window, self.filters)),
            Parameter("bias", (self.filters,), group="bias"),
        )
        factors = (
            Parameter("lora_a", (*window, self.rank), group="adapter"),
            Parameter("lora_b", (1, 1, self.rank, self.filters), group="adapter"),
        )
        return (*base[: 1 + self.use_bias], *factors)

    def forward(self, call: Call, *xs: Value) -> Value:
        x, once = self.padded(xs[0]), (1, 1)
        y = convolved(call, x, call.parameter("kernel"), 1, self.strides, self.dilation)
        y = self.with_bias(call, y)
        down = convolved(call, x, call.parameter("lora_a"), 1, self.strides, self.dilation)
        delta = convolved(call, down, call.parameter("lora_b"), 1, once, once)
        return y + delta * (self.alpha / self.rank)


@dataclass(frozen=True, kw_only=True)
class LoraEmbedding(Layer):
    """Rows of embeddings + (alpha / rank) · lora_a @ lora_b by index: (T,) -> (T, features)."""

    kind: Literal["lora_embedding"] = "lora_embedding"
    features: Size = 1
    rank: Size = 1
    alpha: Alpha = 1.0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> LoraEmbedding:
        return cls(
            features=choice.integer(1, 4),
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1.0, 2.0, 0.5)),
        )

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) == 1 and specs[0].vocabulary is not None and specs[0].rank == 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*super().output(specs).shape, self.features))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        rows = specs[0].vocabulary or 1
        return (
            Parameter("embeddings", (rows, self.features)),
            Parameter("lora_a", (rows, self.rank), group="adapter"),
            Parameter("lora_b", (self.rank, self.features), group="adapter"),
        )

    def forward(self, call: Call, *xs: Value) -> Value:
        indices = xs[0].data[0].astype(np.int64)
        base = call.parameter("embeddings").apply("take", indices=indices)
        delta = call.parameter("lora_a").apply("take", indices=indices) @ call.parameter("lora_b")
        return base + delta * (self.alpha / self.rank)


class _Adapted:
    """A call of a layer that sees a weight with the update added, and all else as it is."""

    def __init__(self, call: Call, name: str, adapted: Value) -> None:
        self._call = call
        self._name = name
        self._adapted = adapted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def parameter(self, name: str, looked_up: bool = False) -> Value:
        return self._adapted if name == self._name else self._call.parameter(name, looked_up)


@dataclass(frozen=True, kw_only=True)
class _WithLora(Layer):
    """A layer whose first weight w is frozen and replaced by w + (alpha / rank) · lora_a @ lora_b.

    As https://keras.io/api/layers/core_layers/dense/ has it: "LoRA sets the layer's kernel to
    non-trainable and replaces it with a delta over the original kernel". w of shape (..., out),
    lora_a (..., rank), lora_b (rank, out). The update is asked for when the layer is made or later.
    """

    #: The class of the layer without the update.
    base: ClassVar[type[Layer]]
    #: In a model of another dtype the factors are float32 all the same, "to avoid the risk of
    #: underflow or overflow during fine-tuning" (keras/src/layers/core/dense.py, enable_lora).
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    rank: Size = 1
    alpha: Size = 1
    enabled: Literal["later", "when_made"] = "later"

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Any:
        layer: Any = super().draw(choice, specs)
        enabled: tuple[Literal["later", "when_made"], ...] = ("later", "when_made")
        return replace(
            layer,
            rank=choice.integer(1, 3),
            alpha=choice.one_of((1, 2, 4)),
            enabled=choice.one_of(enabled),
        )

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        base, *others = super().parameters(specs)
        *window, out = base.shape
        return (
            replace(base, starts_frozen=True),
            *others,
            Parameter("lora_a", (*window, self.rank), group="adapter"),
            Parameter("lora_b", (self.rank, out), group="adapter"),
        )

    def plainer(self) -> Layer:
        names = {field.name for field in fields(self.base)} - {"kind"}
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        return self.base(kind=self.base.kind_of(), **options)

    def scale(self, call: Call) -> float:
        """What the update is multiplied by."""
        made_with_it = self.enabled == "when_made" or call.rebuilt
        if made_with_it and self.kind in call.contract["lora_alpha_forgotten_by"]:
            return 1.0
        return self.alpha / self.rank

    def _adapted(self, call: Call) -> tuple[str, Value]:
        """The name of the adapted weight, and what it is with the update."""
        name = "embeddings" if isinstance(self, Embedding) else "kernel"
        update = call.parameter("lora_a") @ call.parameter("lora_b")
        return name, call.parameter(name) + update * self.scale(call)

    def forward(self, call: Call, *xs: Value) -> Value:
        adapted: Any = _Adapted(call, *self._adapted(call))
        return super().forward(adapted, *xs)

    def loaded(self, call: Call) -> Mapping[str, Value]:
        """The weight with the update for good, and an update of zeros."""
        if call.contract["lora_in_files"] != "merged":
            return {}
        name, adapted = self._adapted(call)
        if call.contract["lora_file_precision"] == "compute":
            adapted = adapted.tape.cast(adapted, lower=True)
        factors = {factor: call.parameter(factor) for factor in ("lora_a", "lora_b")}
        return {name: adapted, **{n: v.tape.constant(0.0 * v.data[:1]) for n, v in factors.items()}}


@dataclass(frozen=True, kw_only=True)
class DenseWithLora(_WithLora, Dense):
    """A dense layer with Keras's own update."""

    kind: Literal["dense_with_lora"] = "dense_with_lora"  # type: ignore[assignment]
    base: ClassVar[type[Layer]] = Dense
    frequency: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class EmbeddingWithLora(_WithLora, Embedding):
    """A table with Keras's own update."""

    kind: Literal["embedding_with_lora"] = "embedding_with_lora"  # type: ignore[assignment]
    base: ClassVar[type[Layer]] = Embedding


@dataclass(frozen=True, kw_only=True)
class Conv1DWithLora(_WithLora, Conv1D):
    """A convolution in time with Keras's own update."""

    kind: Literal["conv1d_with_lora"] = "conv1d_with_lora"  # type: ignore[assignment]
    base: ClassVar[type[Layer]] = Conv1D
    frequency: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class Conv2DWithLora(_WithLora, Conv2D):
    """A convolution over an image with Keras's own update."""

    kind: Literal["conv2d_with_lora"] = "conv2d_with_lora"  # type: ignore[assignment]
    base: ClassVar[type[Layer]] = Conv2D
    frequency: ClassVar[int] = 4


@dataclass(frozen=True, kw_only=True)
class Conv3DWithLora(_WithLora, Conv3D):
    """A convolution over a volume with Keras's own update."""

    kind: Literal["conv3d_with_lora"] = "conv3d_with_lora"  # type: ignore[assignment]
    base: ClassVar[type[Layer]] = Conv3D
    frequency: ClassVar[int] = 3


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    LoraDense,
    LoraEmbedding,
    LoraConv2D,
    DenseWithLora,
    EmbeddingWithLora,
    Conv1DWithLora,
    Conv2DWithLora,
    Conv3DWithLora,
)
