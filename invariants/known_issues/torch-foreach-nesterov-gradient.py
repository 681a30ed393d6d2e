"""SGD.step is documented to move parameters by their gradients, not to change the gradients."""

import torch

weight = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.5, nesterov=True, foreach=True)
weight.grad = torch.ones(1)
optimizer.step()
assert weight.grad.item() == 1.0
