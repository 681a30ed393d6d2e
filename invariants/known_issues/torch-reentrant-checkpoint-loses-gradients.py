"""A trainable weight has a gradient, but is documented to lose it where no input requires one."""

import torch
from torch.utils.checkpoint import checkpoint

stretch, head = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
head(checkpoint(stretch, torch.ones(1, 1), use_reentrant=True)).sum().backward()
assert stretch.weight.grad is not None
