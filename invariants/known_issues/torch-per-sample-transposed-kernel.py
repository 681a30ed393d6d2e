"""vmap(grad(f)) is documented to give the gradients per sample, those of grad(f) one by one."""

import torch
from torch.func import grad, vmap

samples = torch.ones(3, 1, 1, 2, dtype=torch.float64)
kernel = torch.ones(2, 2, 2, dtype=torch.float64)
slope = grad(lambda k, x: torch.nn.functional.conv_transpose1d(x.permute(0, 2, 1), k).sum())
gradients = vmap(slope, in_dims=(None, 0))(kernel, samples)
assert torch.equal(gradients, torch.stack([slope(kernel, x) for x in samples]))
