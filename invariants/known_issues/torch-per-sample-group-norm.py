"""Per-sample gradients raise at a group norm of half of the channels.

Each of three samples has 8 channels, the first 4 of which are normalised. The first one's gradient
by itself is computed; that of all of them, by vmap, should be the same.
"""

import torch
from torch.func import grad, vmap


def loss(scale, sample):
    half = sample[None, :4]
    return torch.nn.functional.group_norm(half, 2, scale).square().sum()


scale, samples = torch.ones(4), torch.randn(3, 8, 5)
alone = grad(loss)(scale, samples[0])
together = vmap(grad(loss), in_dims=(None, 0))(scale, samples)
assert (together[0] - alone).abs().max() < 1e-3
