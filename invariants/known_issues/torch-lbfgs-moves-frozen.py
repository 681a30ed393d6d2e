"""requires_grad = False is documented to freeze a parameter: it is not updated during training."""

import torch

frozen, trained = (torch.ones(1, requires_grad=True) for _ in range(2))
optimizer = torch.optim.LBFGS([frozen, trained], lr=0.1, max_iter=2)


def closure():
    optimizer.zero_grad()
    loss = (frozen - 3 * trained).square() + trained.square()
    loss.backward()
    return loss


optimizer.step(closure)
before = frozen.requires_grad_(False).clone()
optimizer.step(closure)
assert torch.equal(frozen, before)
