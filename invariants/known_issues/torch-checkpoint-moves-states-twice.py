"""A pass moves running_mean by 0.1; checkpoint is documented to make another one in backward()."""

import torch
from torch.utils.checkpoint import checkpoint

norm = torch.nn.BatchNorm1d(1, dtype=torch.float64)
x = torch.ones(4, 1, dtype=torch.float64)
checkpoint(norm, x, use_reentrant=False).sum().backward()
assert norm.running_mean.item() == 0.1
