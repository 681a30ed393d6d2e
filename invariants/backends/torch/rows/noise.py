"""Random layers beside dropout."""

from __future__ import annotations

from invariants.backends.source import Lowering
from invariants.backends.torch.rows.common import plain
from invariants.backends.torch.rows.normalization import channels_second

_GAUSSIAN_NOISE = '''\
class GaussianNoise(nn.Module):
    """Adds normal noise in training mode."""

    def __init__(self, stddev):
        super().__init__()
        self.stddev = stddev

    def forward(self, x):
        return x + torch.randn_like(x) * self.stddev if self.training else x
'''

ROWS: dict[str, Lowering] = {
    "spatial_dropout1d": Lowering(
        lambda layer, specs: f"nn.Dropout1d({layer.rate!r})",
        channels_second,
        drawn_axes={2: (0, 2, 1)},
    ),
    "spatial_dropout2d": Lowering(
        lambda layer, specs: f"nn.Dropout2d({layer.rate!r})", channels_second
    ),
    "alpha_dropout": Lowering(lambda layer, specs: f"nn.AlphaDropout({layer.rate!r})", plain),
    "gaussian_noise": Lowering(
        lambda layer, specs: f"GaussianNoise({layer.deviation!r})",
        plain,
        definition=_GAUSSIAN_NOISE,
    ),
}
