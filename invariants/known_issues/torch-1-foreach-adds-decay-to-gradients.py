"""Adam.step is documented to move parameters by their gradients, not to change the gradients."""

import torch

weight = torch.ones(1, requires_grad=True)
weight.grad = torch.ones(1)
torch.optim.Adam([weight], lr=0.5, weight_decay=0.5, foreach=True).step()
assert weight.grad.item() == 1.0
