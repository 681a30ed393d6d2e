"""A gradient is documented by its values: how it lies in memory makes none of another tensor."""

import torch

images = torch.arange(16.0, dtype=torch.float64).square().reshape(2, 2, 2, 2)
upstream = torch.arange(16.0, dtype=torch.float64).sqrt().reshape(2, 2, 2, 2)
positions_first = upstream.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
gradients = []
for g in (upstream, positions_first):
    x = images.clone().requires_grad_()
    torch.nn.functional.instance_norm(x).backward(g)
    gradients.append(x.grad)
assert (gradients[0] - gradients[1]).abs().max() < 1e-12
