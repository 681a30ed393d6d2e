"""NAdam's first step is documented to be (mu_2 * m_hat + (1 - mu_1) * g_hat) * lr / |g|."""

import torch

weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.NAdam([weight], lr=1.0, eps=0.0)
weight.grad = torch.ones_like(weight)
optimizer.step()

first, second = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2))
step = second * 0.1 / (1 - first * second) + (1 - first) / (1 - first)
assert abs(-weight.item() - step) < 1e-14 * step
