"""Learned tables."""

from __future__ import annotations

from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.common import plain

_POSITIONAL = '''\
class PositionalEmbedding(nn.Module):
    """Adds a learned row for each position."""

    def __init__(self, steps, features):
        super().__init__()
        self.embeddings = nn.Parameter(torch.zeros(steps, features))

    def forward(self, x):
        return x + self.embeddings
'''

_TIED = '''\
class TiedEmbedding(nn.Module):
    """An embedding whose table is the output projection too."""

    def __init__(self, vocabulary, features):
        super().__init__()
        self.table = nn.Embedding(vocabulary, features)

    def forward(self, indices):
        return F.linear(self.table(indices), self.table.weight)
'''

ROWS: dict[str, Lowering] = {
    "positional_embedding": Lowering(
        lambda layer, specs: f"PositionalEmbedding({specs[0].shape[0]}, {specs[0].shape[1]})",
        plain,
        {"embeddings": NativeParameter("embeddings")},
        definition=_POSITIONAL,
    ),
    "tied_embedding": Lowering(
        lambda layer, specs: f"TiedEmbedding({specs[0].vocabulary}, {layer.features})",
        plain,
        {"embeddings": NativeParameter("table.weight")},
        definition=_TIED,
    ),
}
