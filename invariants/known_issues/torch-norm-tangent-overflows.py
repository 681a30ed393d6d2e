"""torch.func.jvp is documented to give the derivative of a function along a direction."""

import torch
from torch.nn.functional import layer_norm

x = torch.tensor([[0.0, 0.03]], dtype=torch.float16)
along = torch.tensor([[1.0, 0.0]], dtype=torch.float16)
slope = torch.func.grad(lambda x: layer_norm(x, (2,))[0, 0])(x)[0, 0]
_, tangent = torch.func.jvp(lambda x: layer_norm(x, (2,))[0, 0], (x,), (along,))
assert torch.equal(tangent.isfinite(), slope.isfinite())
