"""Learned rows in front of a sequence."""

from __future__ import annotations

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.torch.rows.common import plain

_PROMPT_TOKENS = '''\
class PromptTokens(nn.Module):
    """Learned tokens in front of a sequence."""

    def __init__(self, count, features):
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(count, features))

    def forward(self, x):
        return torch.cat((self.tokens.expand(len(x), -1, -1), x), dim=1)
'''

_PREFIX_ATTENTION = '''\
class PrefixAttention(nn.Module):
    """Self-attention with learned keys and values in front of its own."""

    def __init__(self, features, heads, size, count, bias):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(features, heads * size, bias=bias)
        self.key = nn.Linear(features, heads * size, bias=bias)
        self.value = nn.Linear(features, heads * size, bias=bias)
        self.output = nn.Linear(heads * size, features, bias=bias)
        self.prefix_key = nn.Parameter(torch.zeros(count, heads * size))
        self.prefix_value = nn.Parameter(torch.zeros(count, heads * size))

    def in_heads(self, y):
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x):
        k = torch.cat((self.prefix_key.expand(len(x), -1, -1), self.key(x)), dim=1)
        v = torch.cat((self.prefix_value.expand(len(x), -1, -1), self.value(x)), dim=1)
        q, k, v = self.in_heads(self.query(x)), self.in_heads(k), self.in_heads(v)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.output(y.transpose(1, 2).flatten(2))
'''


def _projections() -> dict[str, NativeParameter]:
    held = {}
    for name in ("query", "key", "value", "output"):
        held[f"{name}_kernel"] = NativeParameter(f"{name}.weight", (1, 0))
        held[f"{name}_bias"] = NativeParameter(f"{name}.bias")
    return held


ROWS: dict[str, Lowering] = {
    "prompt_tokens": Lowering(
        lambda layer, specs: f"PromptTokens({layer.count}, {specs[0].shape[-1]})",
        plain,
        {"tokens": NativeParameter("tokens")},
        definition=_PROMPT_TOKENS,
    ),
    "prefix_attention": Lowering(
        lambda layer, specs: (
            f"PrefixAttention({specs[0].shape[-1]}, {layer.heads}, {layer.key_size}, "
            f"{arguments(count=layer.count, bias=layer.use_bias)})"
        ),
        plain,
        {
            **_projections(),
            "prefix_key": NativeParameter("prefix_key"),
            "prefix_value": NativeParameter("prefix_value"),
        },
        definition=_PREFIX_ATTENTION,
    ),
}
