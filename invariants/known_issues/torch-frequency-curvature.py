"""The gradient of a row is the mean of its two factors, so each of them has a share of 1/2."""

import torch

tokens = torch.tensor([0, 0])
weight, factors = (torch.ones(n, 1, requires_grad=True) for n in (1, 2))
rows = torch.nn.functional.embedding(tokens, weight, scale_grad_by_freq=True)
(gradient,) = torch.autograd.grad((rows * factors).sum(), weight, create_graph=True)
(shares,) = torch.autograd.grad(gradient.sum(), factors)
assert shares.flatten().tolist() == [0.5, 0.5]
