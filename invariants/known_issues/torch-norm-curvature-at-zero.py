"""normalize is documented as v / max(|v|, eps): linear near zero, where its curvature is 0."""

import torch

v = torch.zeros(1, 2, requires_grad=True)
gradient = torch.autograd.grad(torch.nn.functional.normalize(v).sum(), v, create_graph=True)[0]
gradient.sum().backward()
assert not v.grad.isnan().any()
