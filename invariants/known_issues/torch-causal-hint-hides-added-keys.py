"""add_bias_kv is documented to add a bias to the values: one that is added has a gradient."""

import torch
from torch import nn

torch.manual_seed(0)
attention, x = nn.MultiheadAttention(2, 1, add_bias_kv=True), torch.ones(2, 1, 2)
mask = nn.Transformer.generate_square_subsequent_mask(2)
alone, _ = attention(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)
alone.square().sum().backward()
assert attention.bias_v.grad.any()
