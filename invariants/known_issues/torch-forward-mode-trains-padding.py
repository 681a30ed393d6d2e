"""Entries at padding_idx are documented not to contribute to the gradient of an embedding."""

import torch

tokens, weight = torch.tensor([0, 1]), torch.ones(2, 1)
gradient = torch.func.jacfwd(
    lambda w: torch.nn.functional.embedding(tokens, w, padding_idx=0).sum()
)(weight)
assert gradient[0].item() == 0.0
