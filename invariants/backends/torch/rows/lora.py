"""LoRA, as people write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import plain
from invariants.backends.torch.rows.convolution import padded_call, windows_of

_LORA_DENSE = '''\
class LoraLinear(nn.Module):
    """A linear layer with a low-rank update, as in LoRA."""

    def __init__(self, inputs, units, rank, alpha, bias):
        super().__init__()
        self.base = nn.Linear(inputs, units, bias=bias)
        self.lora_a = nn.Linear(inputs, rank, bias=False)
        self.lora_b = nn.Linear(rank, units, bias=False)
        self.scaling = alpha / rank

    def forward(self, x):
        return self.base(x) + self.lora_b(self.lora_a(x)) * self.scaling
'''

_LORA_CONV = '''\
class LoraConv2d(nn.Module):
    """A convolution with a low-rank update, as in LoRA."""

    def __init__(self, channels, filters, kernel_size, rank, alpha, bias, **options):
        super().__init__()
        self.base = nn.Conv2d(channels, filters, kernel_size, bias=bias, **options)
        self.lora_a = nn.Conv2d(channels, rank, kernel_size, bias=False, **options)
        self.lora_b = nn.Conv2d(rank, filters, 1, bias=False)
        self.scaling = alpha / rank

    def forward(self, x):
        return self.base(x) + self.lora_b(self.lora_a(x)) * self.scaling
'''

_LORA_EMBEDDING = '''\
class LoraEmbedding(nn.Module):
    """An embedding with a low-rank update, as in LoRA."""

    def __init__(self, rows, features, rank, alpha):
        super().__init__()
        self.base = nn.Embedding(rows, features)
        self.lora_a = nn.Parameter(torch.zeros(rows, rank))
        self.lora_b = nn.Parameter(torch.zeros(rank, features))
        self.scaling = alpha / rank

    def forward(self, indices):
        return self.base(indices) + F.embedding(indices, self.lora_a) @ self.lora_b * self.scaling
'''


def _lora_dense(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha, bias=layer.use_bias)
    return f"LoraLinear({specs[0].shape[-1]}, {layer.units}, {options})"


def _lora_conv(layer: Any, specs: Sequence[Spec]) -> str:
    sizes = f"{specs[0].shape[2]}, {layer.filters}, {layer.kernel_size}"
    return f"LoraConv2d({sizes}, {windows_of(layer, rank=layer.rank, alpha=layer.alpha)})"


def _lora_embedding(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha)
    return f"LoraEmbedding({specs[0].vocabulary}, {layer.features}, {options})"


ROWS: dict[str, Lowering] = {
    "lora_dense": Lowering(
        _lora_dense,
        plain,
        {
            "kernel": NativeParameter("base.weight", (1, 0)),
            "bias": NativeParameter("base.bias"),
            "lora_a": NativeParameter("lora_a.weight", (1, 0)),
            "lora_b": NativeParameter("lora_b.weight", (1, 0)),
        },
        definition=_LORA_DENSE,
    ),
    "lora_conv2d": Lowering(
        _lora_conv,
        padded_call,
        {
            "kernel": NativeParameter("base.weight", (3, 2, 0, 1)),
            "bias": NativeParameter("base.bias"),
            "lora_a": NativeParameter("lora_a.weight", (3, 2, 0, 1)),
            "lora_b": NativeParameter("lora_b.weight", (3, 2, 0, 1)),
        },
        definition=_LORA_CONV,
    ),
    "lora_embedding": Lowering(
        _lora_embedding,
        plain,
        {
            "embeddings": NativeParameter("base.weight"),
            "lora_a": NativeParameter("lora_a"),
            "lora_b": NativeParameter("lora_b"),
        },
        definition=_LORA_EMBEDDING,
    ),
}
