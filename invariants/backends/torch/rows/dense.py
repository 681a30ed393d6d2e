"""Dense layers and the projection of the seed network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import on_the_last_axis, plain

_KERNEL = {"kernel": NativeParameter("weight", (1, 0)), "bias": NativeParameter("bias")}

_PROJECTION = '''\
class Projection(nn.Module):
    """A PCA projection with given components and mean, which nothing trains."""

    def __init__(self, features, components):
        super().__init__()
        self.register_buffer("components", torch.zeros(features, components))
        self.register_buffer("mean", torch.zeros(components))

    def forward(self, x):
        return x @ self.components - self.mean
'''


def linear(layer: Any, specs: Sequence[Spec]) -> str:
    """A linear layer over the last axis."""
    return f"nn.Linear({specs[0].shape[-1]}, {layer.units}, {arguments(bias=layer.use_bias)})"


ROWS: dict[str, Lowering] = {
    "dense": Lowering(linear, on_the_last_axis, _KERNEL),
    "projection": Lowering(
        lambda layer, specs: f"Projection({specs[0].shape[-1]}, {layer.components})",
        plain,
        {"components": NativeParameter("components"), "mean": NativeParameter("mean")},
        definition=_PROJECTION,
    ),
}
