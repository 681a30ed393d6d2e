"""An evaluation under no_grad is documented to record nothing: training behind it is as without."""

import torch

layer = torch.nn.TransformerEncoderLayer(2, 2, 2, dropout=0.0, batch_first=True)
x = torch.ones(1, 2, 2)
with torch.autocast("cpu"):
    with torch.no_grad():
        layer.eval()(x)
    layer.train()(x).sum().backward()
assert layer.self_attn.in_proj_weight.grad is not None
