"""create_graph=True is documented to allow second derivatives: a Hessian is symmetric."""

import torch

direction = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
magnitude = torch.ones(1, 1, dtype=torch.float64)
hessian = torch.autograd.functional.hessian(
    lambda v: torch._weight_norm(v, magnitude, 0)[0, 0], direction
).reshape(2, 2)
assert (hessian - hessian.T).abs().max() < 1e-12
