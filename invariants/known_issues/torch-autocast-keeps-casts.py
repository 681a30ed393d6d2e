"""autocast is documented to choose dtypes alone: a forward pass sees the weights as they are."""

import torch

layer, x = torch.nn.Linear(1, 1, bias=False), torch.ones(1, 1)
with torch.autocast("cpu"):
    layer(x)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    y = layer(x)
assert y.item() == 2.0
