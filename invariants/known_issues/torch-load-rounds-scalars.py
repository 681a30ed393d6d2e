"""load_state_dict is documented to load the state: what was just saved changes nothing."""

import torch

weight = torch.ones(1, dtype=torch.bfloat16, requires_grad=True)
optimizer = torch.optim.NAdam([weight])
weight.grad = torch.ones_like(weight)
optimizer.step()
before = optimizer.state[weight]["mu_product"].item()
optimizer.load_state_dict(optimizer.state_dict())
assert optimizer.state[weight]["mu_product"].item() == before
