"""Gradients are documented to be scaled by the inverse of the frequency of the words."""

import torch

tokens, weight = torch.tensor([0, 0]), torch.ones(1, 1)
gradient = torch.func.jacfwd(
    lambda w: torch.nn.functional.embedding(tokens, w, scale_grad_by_freq=True).sum()
)(weight)
assert gradient.item() == 1.0
