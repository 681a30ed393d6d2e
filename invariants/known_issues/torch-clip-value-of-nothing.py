"""clip_grad_value_ is documented to clip the gradients of parameters: there may be none."""

import torch

weight = torch.zeros(1, requires_grad=True)
torch.nn.utils.clip_grad_value_([weight], 1.0)
assert weight.grad is None
