"""Adapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import on_the_last_axis, plain
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

_BOTTLENECK = '''\
class Bottleneck(nn.Module):
    """An adapter: down, activation, up, and the input once more."""

    def __init__(self, features, units, activation):
        super().__init__()
        self.down = nn.Linear(features, units)
        self.activation = activation
        self.up = nn.Linear(units, features)

    def forward(self, x):
        return x + self.up(self.activation(self.down(x)))
'''

_SQUEEZE_EXCITE = '''\
class SqueezeExcite(nn.Module):
    """Scales each channel of an image by what all of its means say."""

    def __init__(self, channels, units):
        super().__init__()
        self.fc1 = nn.Linear(channels, units)
        self.fc2 = nn.Linear(units, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None]
'''

_FILM = '''\
class FiLM(nn.Module):
    """Scales and shifts each channel by a linear map of the features."""

    def __init__(self, features, channels, shape):
        super().__init__()
        self.projection = nn.Linear(features, 2 * channels)
        self.shape = shape

    def forward(self, x, features):
        gamma, beta = self.projection(features).chunk(2, dim=-1)
        return x * gamma.reshape(self.shape) + beta.reshape(self.shape)
'''

#: rank of a value -> the shape, batch axis included, of one number for each of C channels.
_BY_CHANNEL = {1: "(-1, {})", 2: "(-1, 1, {})", 3: "(-1, {}, 1, 1)", 4: "(-1, {}, 1, 1, 1)"}


def _linear(prefix: str, name: str) -> dict[str, NativeParameter]:
    return {
        f"{prefix}kernel": NativeParameter(f"{name}.weight", (1, 0)),
        f"{prefix}bias": NativeParameter(f"{name}.bias"),
    }


def _lora_dense(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha, bias=layer.use_bias)
    return f"LoraLinear({specs[0].shape[-1]}, {layer.units}, {options})"


def _lora_conv(layer: Any, specs: Sequence[Spec]) -> str:
    sizes = f"{specs[0].shape[2]}, {layer.filters}, {layer.kernel_size}"
    return f"LoraConv2d({sizes}, {windows_of(layer, rank=layer.rank, alpha=layer.alpha)})"


def _lora_embedding(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(rank=layer.rank, alpha=layer.alpha)
    return f"LoraEmbedding({specs[0].vocabulary}, {layer.features}, {options})"


def _bottleneck(layer: Any, specs: Sequence[Spec]) -> str:
    activation = {"tanh": "nn.Tanh()", "relu": "nn.ReLU()"}[layer.activation]
    return f"Bottleneck({specs[0].shape[-1]}, {layer.units}, {activation})"


def _film(layer: Any, specs: Sequence[Spec]) -> str:
    channels = specs[0].shape[-1]
    shape = _BY_CHANNEL[specs[0].rank].format(channels)
    return f"FiLM({specs[1].shape[0]}, {channels}, {shape})"


def _weight_norm_dense(layer: Any, specs: Sequence[Spec]) -> str:
    linear = f"nn.Linear({specs[0].shape[-1]}, {layer.units}, {arguments(bias=layer.use_bias)})"
    return f"nn.utils.parametrizations.weight_norm({linear})"


ROWS: dict[str, Lowering] = {
    "lora_dense": Lowering(
        _lora_dense,
        plain,
        {
            **_linear("", "base"),
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
    "bottleneck": Lowering(
        _bottleneck,
        plain,
        {**_linear("down_", "down"), **_linear("up_", "up")},
        definition=_BOTTLENECK,
    ),
    "weight_norm_dense": Lowering(
        _weight_norm_dense,
        on_the_last_axis,
        {
            "magnitude": NativeParameter("parametrizations.weight.original0", (1, 0)),
            "direction": NativeParameter("parametrizations.weight.original1", (1, 0)),
            "bias": NativeParameter("bias"),
        },
    ),
    "squeeze_excite": Lowering(
        lambda layer, specs: f"SqueezeExcite({specs[0].shape[-1]}, {layer.units})",
        plain,
        {**_linear("down_", "fc1"), **_linear("up_", "fc2")},
        definition=_SQUEEZE_EXCITE,
    ),
    "film": Lowering(_film, plain, _linear("", "projection"), definition=_FILM),
}
