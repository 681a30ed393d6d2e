"""linearize is documented to give the map of tangents that jvp has: a function as vmap takes it."""

import torch

kernel = torch.ones(2, 1, 1)
_, tangent = torch.func.linearize(
    lambda x: torch.nn.functional.conv1d(x.permute(0, 2, 1), kernel).permute(0, 2, 1).flatten(1),
    torch.ones(4, 3, 1),
)
directions = torch.eye(12).reshape(12, 4, 3, 1)
one_by_one = torch.stack([tangent(direction) for direction in directions])
assert torch.equal(torch.vmap(tangent)(directions), one_by_one)
