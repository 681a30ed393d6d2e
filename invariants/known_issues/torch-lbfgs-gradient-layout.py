"""LBFGS is documented to step by p.grad, which may be any tensor of the shape of its parameter."""

import torch

weight = torch.zeros(2, 2, requires_grad=True)
weight.grad = torch.ones(2, 2).T
optimizer = torch.optim.LBFGS([weight], lr=1.0, max_iter=1)
optimizer.step(lambda: torch.tensor(1.0))
assert (weight < 0).all()
