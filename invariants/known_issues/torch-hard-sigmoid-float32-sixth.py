"""hardsigmoid is documented as x / 6 + 1 / 2 between -3 and 3, where its slope is 1/6."""

import torch

x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
torch.nn.functional.hardsigmoid(x).backward()
assert x.grad.item() == 1 / 6
