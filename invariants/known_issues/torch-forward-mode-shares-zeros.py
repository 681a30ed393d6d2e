"""clip_grad_norm_ is documented to modify gradients in place; those of jacfwd are gradients too."""

import torch

weight = torch.nn.Parameter(torch.ones(2, 2))
constant = torch.ones(2)
weight.grad = torch.func.jacfwd(lambda w: constant.sum())(weight.detach())
torch.nn.utils.clip_grad_norm_([weight], 1.0)
assert torch.equal(weight.grad, torch.zeros(2, 2))
