"""LoRA: as people write it, and Keras's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows import convolution, dense, shaping, volumes
from invariants.backends.tensorflow.rows.common import inner, row

_LORA_DENSE = '''\
class LoraDense(keras.layers.Layer):
    """A dense layer with a low-rank update, as in LoRA."""

    def __init__(self, units, rank, alpha, use_bias, **options):
        super().__init__(**options)
        self.base = keras.layers.Dense(units, use_bias=use_bias, name="base")
        self.units, self.rank, self.scaling = units, rank, alpha / rank

    def build(self, input_shape):
        self.base.build(input_shape)
        self.lora_a = self.add_weight(shape=(input_shape[-1], self.rank), name="lora_a")
        self.lora_b = self.add_weight(shape=(self.rank, self.units), name="lora_b")

    def call(self, x):
        delta = keras.ops.matmul(keras.ops.matmul(x, self.lora_a), self.lora_b)
        return self.base(x) + delta * self.scaling
'''

_LORA_CONV = '''\
class LoraConv2D(keras.layers.Layer):
    """A convolution with a low-rank update, as in LoRA."""

    def __init__(self, filters, kernel_size, rank, alpha, use_bias, windows, **options):
        super().__init__(**options)
        self.base = keras.layers.Conv2D(
            filters, kernel_size, use_bias=use_bias, name="base", **windows
        )
        self.lora_a = keras.layers.Conv2D(
            rank, kernel_size, use_bias=False, name="lora_a", **windows
        )
        self.lora_b = keras.layers.Conv2D(filters, 1, use_bias=False, name="lora_b")
        self.scaling = alpha / rank

    def build(self, input_shape):
        self.base.build(input_shape)
        self.lora_a.build(input_shape)
        self.lora_b.build(self.lora_a.compute_output_shape(input_shape))

    def call(self, x):
        return self.base(x) + self.lora_b(self.lora_a(x)) * self.scaling
'''

_LORA_EMBEDDING = '''\
class LoraEmbedding(keras.layers.Layer):
    """An embedding with a low-rank update, as in LoRA."""

    def __init__(self, rows, features, rank, alpha, **options):
        super().__init__(**options)
        self.base = keras.layers.Embedding(rows, features, name="base")
        self.rows, self.features, self.rank = rows, features, rank
        self.scaling = alpha / rank

    def build(self, input_shape):
        self.base.build(input_shape)
        self.lora_a = self.add_weight(shape=(self.rows, self.rank), name="lora_a")
        self.lora_b = self.add_weight(shape=(self.rank, self.features), name="lora_b")

    def call(self, indices):
        rows = keras.ops.take(self.lora_a, indices, axis=0)
        return self.base(indices) + keras.ops.matmul(rows, self.lora_b) * self.scaling
'''


def _own(*names: str) -> dict[str, NativeParameter]:
    return {name: NativeParameter(name) for name in names}


def _lora_dense(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha, use_bias=layer.use_bias)
    return f"LoraDense({layer.units}, {options}, "


def _lora_conv(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha, use_bias=layer.use_bias)
    windows = {
        "strides": layer.strides,
        "padding": layer.padding,
        **({} if layer.dilation == (1, 1) else {"dilation_rate": layer.dilation}),
    }
    sizes = f"{layer.filters}, {layer.kernel_size}"
    return f"LoraConv2D({sizes}, {options}, {arguments(windows=windows)}, "


def _lora_embedding(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha)
    return f"LoraEmbedding({specs[0].vocabulary}, {layer.features}, {options}, "


def _adapted(base: Lowering) -> Lowering:
    """The row of a layer of Keras that has an update of its own, from that of the layer without."""
    weight, *others = base.parameters

    def made(layer: Any, specs: Sequence[Spec]) -> str:
        assert base.construct is not None
        opened = base.construct(layer, specs)
        if layer.enabled == "later":
            return opened
        return f"{opened}{arguments(lora_rank=layer.rank, lora_alpha=layer.alpha)}, "

    def built(layer: Any, name: str) -> str:
        if layer.enabled == "when_made":
            return ""
        return f"{name}.enable_lora({layer.rank}, lora_alpha={layer.alpha})"

    parameters = {
        # With the update the attribute without an underscore is their sum.
        weight: NativeParameter(weight, attribute=f"_{weight}"),
        **{name: base.parameters[name] for name in others},
        "lora_a": NativeParameter(f"lora_{weight}_a"),
        "lora_b": NativeParameter(f"lora_{weight}_b"),
    }
    return Lowering(made, base.call, parameters, built=built)


_DENSE = ("kernel", "bias")

ROWS: dict[str, Lowering] = {
    "lora_dense": row(
        _lora_dense, {**inner("", "base", *_DENSE), **_own("lora_a", "lora_b")}, _LORA_DENSE
    ),
    "lora_conv2d": row(
        _lora_conv,
        {
            **inner("", "base", *_DENSE),
            "lora_a": NativeParameter("lora_a/kernel", attribute="lora_a.kernel"),
            "lora_b": NativeParameter("lora_b/kernel", attribute="lora_b.kernel"),
        },
        _LORA_CONV,
    ),
    "lora_embedding": row(
        _lora_embedding,
        {**inner("", "base", "embeddings"), **_own("lora_a", "lora_b")},
        _LORA_EMBEDDING,
    ),
    "dense_with_lora": _adapted(dense.ROWS["dense"]),
    "embedding_with_lora": _adapted(shaping.ROWS["embedding"]),
    "conv1d_with_lora": _adapted(convolution.ROWS["conv1d"]),
    "conv2d_with_lora": _adapted(convolution.ROWS["conv2d"]),
    "conv3d_with_lora": _adapted(volumes.ROWS["conv3d"]),
}
