"""torch.func.grad is documented to give the gradient that backward() gives."""

import torch
from torch.nn.functional import group_norm

upstream = torch.tensor([1.0, 2.0, 4.0, 0.0], dtype=torch.float16)
x = torch.tensor([[[0.0, 0.01, 0.02, 0.03]]], dtype=torch.float16, requires_grad=True)
(group_norm(x, 1) * upstream).sum().backward()
gradient = torch.func.grad(lambda x: (group_norm(x, 1) * upstream).sum())(x.detach())
assert torch.equal(gradient.isfinite(), x.grad.isfinite())
