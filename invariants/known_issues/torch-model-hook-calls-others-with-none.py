"""A hook of a weight is called with a gradient, or where there is none not at all."""

import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trained, self.unused = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x):
        return self.trained(x), self.unused(x)


model = Heads()
model.register_full_backward_hook(lambda module, inward, outward: None)
model.unused.weight.register_hook(lambda gradient: gradient.mul(0.0))
model(torch.ones(1, 1, requires_grad=True))[0].sum().backward()
assert model.unused.weight.grad is None
