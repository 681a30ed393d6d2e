"""jacfwd is documented to compute the Jacobian, as jacrev does: that of float32 is in float32."""

import torch

jacobian = torch.func.jacfwd(lambda x: 0.25 * x.sum())(torch.ones(2))
assert jacobian.dtype == torch.float32
