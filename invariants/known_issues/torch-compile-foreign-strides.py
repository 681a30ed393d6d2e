"""torch.compile is documented to optimize a function, not to change what it takes."""

import torch

norm = torch.nn.BatchNorm1d(4)


@torch.compile(backend="aot_eager")
def function(x):
    return norm(x.transpose(1, 2)).transpose(1, 2).flatten(1)


assert function(torch.ones(2, 3, 4)).shape == (2, 12)
