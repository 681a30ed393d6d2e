"""register_full_backward_hook is documented to show gradients: what has none still has none."""

import torch


class Model(torch.nn.Module):
    def forward(self, used, unused):
        return used * 2, unused * 2


used, unused = (torch.ones(1, requires_grad=True) for _ in range(2))
model = Model()
model.register_full_backward_hook(lambda module, inputs, outputs: None)
model(used, unused)[0].backward()
assert unused.grad is None
