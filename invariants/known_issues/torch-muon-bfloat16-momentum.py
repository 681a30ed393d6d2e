"""Muon is documented to keep B = momentum * B + g: of one gradient of 0.25 it is at most that."""

import torch

weight = torch.zeros(1, 1, dtype=torch.bfloat16, requires_grad=True)
optimizer = torch.optim.Muon([weight], momentum=0.5, nesterov=False)
weight.grad = torch.full_like(weight, 0.25)
optimizer.step()
assert optimizer.state[weight]["momentum_buffer"].item() < 0.5
