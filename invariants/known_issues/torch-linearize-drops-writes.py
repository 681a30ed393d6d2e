"""The linear map of linearize is the derivative at the point where it was taken."""

import torch
from torch.nn import functional as F


def length(x):
    return F.pad(x, (2, 2), mode="circular").square().sum()


x = torch.arange(1.0, 7.0).reshape(1, 2, 3)
along = torch.ones_like(x)
_, tangent = torch.func.jvp(length, (x,), (along,))
_, linear = torch.func.linearize(length, x)
assert linear(along) == tangent
