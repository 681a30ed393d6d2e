"""Muon is documented to divide B = momentum * B + g by |B| + eps: first, B is g at any momentum."""

import torch

steps = []
for momentum in (0.0, 0.75):
    weight = torch.zeros(1, 1, requires_grad=True)
    weight.grad = torch.ones(1, 1)
    torch.optim.Muon(
        [weight], lr=1.0, momentum=momentum, nesterov=False, weight_decay=0.0, eps=1.0
    ).step()
    steps.append(weight.item())
assert steps[0] == steps[1]
