"""NAdam is documented to take one step, by whichever implementation."""

import torch

steps = []
for foreach in (False, True):
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.ones(1)
    torch.optim.NAdam([weight], lr=0.5, betas=(0.5, 0.5), foreach=foreach).step()
    steps.append(weight.item())
assert abs(steps[0] - steps[1]) < 1e-6
