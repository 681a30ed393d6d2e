"""A hook that changes nothing gives a head that no loss reaches a gradient of zeros."""

import torch


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.first(x), self.second(x)


model = Network()
model.register_full_backward_hook(lambda module, inputs, outputs: None)
model(torch.ones(1, 2))[0].sum().backward()
assert model.second.weight.grad is None
