"""RAdam is documented to divide by sqrt(v) + eps: what has no gradient stays."""

import torch

weight = torch.ones(1, requires_grad=True)
weight.grad = torch.zeros(1)
torch.optim.RAdam([weight], foreach=True).step()
assert weight.item() == 1.0
