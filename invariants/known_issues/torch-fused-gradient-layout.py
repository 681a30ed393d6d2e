"""SGD is documented to move by lr * gradient, and fused=True as an implementation of the same."""

import torch

weight = torch.zeros(2, 2, requires_grad=True)
weight.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).T
torch.optim.SGD([weight], lr=1.0, fused=True).step()
assert torch.equal(weight, -weight.grad)
