"""celu is documented as alpha * (exp(x / alpha) - 1) below zero: its slope is exp(x / alpha)."""

import math

import torch

x = torch.tensor([-1.0], dtype=torch.float64, requires_grad=True)
torch.nn.functional.celu(x, alpha=0.3).backward()
slope = math.exp(-1 / 0.3)
assert abs(x.grad.item() - slope) < 1e-14 * slope
