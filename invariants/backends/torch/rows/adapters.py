"""Adapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.common import plain

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


def _bottleneck(layer: Any, specs: Sequence[Spec]) -> str:
    activation = {"tanh": "nn.Tanh()", "relu": "nn.ReLU()"}[layer.activation]
    return f"Bottleneck({specs[0].shape[-1]}, {layer.units}, {activation})"


def _film(layer: Any, specs: Sequence[Spec]) -> str:
    channels = specs[0].shape[-1]
    shape = _BY_CHANNEL[specs[0].rank].format(channels)
    return f"FiLM({specs[1].shape[0]}, {channels}, {shape})"


ROWS: dict[str, Lowering] = {
    "bottleneck": Lowering(
        _bottleneck,
        plain,
        {**_linear("down_", "down"), **_linear("up_", "up")},
        definition=_BOTTLENECK,
    ),
    "squeeze_excite": Lowering(
        lambda layer, specs: f"SqueezeExcite({specs[0].shape[-1]}, {layer.units})",
        plain,
        {**_linear("down_", "fc1"), **_linear("up_", "fc2")},
        definition=_SQUEEZE_EXCITE,
    ),
    "film": Lowering(_film, plain, _linear("", "projection"), definition=_FILM),
}
