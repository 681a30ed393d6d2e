"""SGD is documented to skip what has no gradient, and to begin its momentum with the first one."""

import torch

early, late = (torch.zeros(1, requires_grad=True) for _ in range(2))
optimizer = torch.optim.SGD([early, late], lr=1.0, momentum=0.5, fused=True)
early.grad = torch.ones(1)
optimizer.step()
late.grad = torch.ones(1)
optimizer.step()
assert late.item() == -1.0
