"""SGD is documented to move a weight by lr * gradient, with fused=True as well."""

import torch

weight = torch.zeros(256, dtype=torch.bfloat16, requires_grad=True)
weight.grad = torch.ones_like(weight)
torch.optim.SGD([weight], lr=1.0, fused=True).step()
assert (weight == -1.0).all()
