"""nn.MultiheadAttention documents need_weights to put the weights out beside what it gives."""

import torch
from torch import nn

torch.manual_seed(0)
attention, x = nn.MultiheadAttention(2, 1, add_bias_kv=True), torch.ones(2, 1, 2)
mask = nn.Transformer.generate_square_subsequent_mask(2)
with_weights, _ = attention(x, x, x, attn_mask=mask, is_causal=True, need_weights=True)
alone, _ = attention(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)
assert torch.allclose(with_weights, alone)
