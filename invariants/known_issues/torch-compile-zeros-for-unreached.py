"""torch.compile is documented to change speed alone: what no loss reaches has no gradient."""

import torch

body, head = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
forward = torch.compile(lambda x: (body(x), head(x)), backend="aot_eager")
forward(torch.ones(1, 1))[0].sum().backward()
assert head.weight.grad is None
