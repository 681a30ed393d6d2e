"""Tables, and recurrent layers that read each sample as far as it is long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, NativeParameter
from invariants.backends.torch.rows.recurrent import gru_cell, plain_cell, reader

_PADDED = '''\
class Padded(nn.Module):
    """A table, and a recurrent layer that reads its rows as far as indices are not padding."""

    def __init__(self, embedding, reader):
        super().__init__()
        self.embedding = embedding
        self.reader = reader

    def forward(self, indices):
        lengths = (indices != 0).sum(1).clamp(min=1).cpu()
        rows = nn.utils.rnn.pack_padded_sequence(
            self.embedding(indices), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, last = self.reader(rows)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(
            outputs, batch_first=True, total_length=indices.shape[1]
        )
        return outputs, last
'''


def _call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """The second result is h_n, of shape (levels · ends, N, units); that of an LSTM (h_n, c_n)."""
    if layer.return_sequences:
        return f"{name}({args[0]})[0]"
    last = f"{name}({args[0]})" + ("[1][0]" if layer.states > 1 else "[1]")
    return f"{last}[-1]" if layer.ends == 1 else f"torch.cat(tuple({last}[-2:]), dim=-1)"


def _row(module: str, named: Any) -> Lowering:
    """named: the parameters of one cell, by suffix and prefix."""

    def made(layer: Any, specs: Sequence[Spec]) -> str:
        ends = {"bidirectional": True} if layer.ends > 1 else {}
        table = f"nn.Embedding({specs[0].vocabulary}, {layer.features})"
        return f"Padded({table}, {reader(module, layer, layer.features, **ends)})"

    cells: Mapping[str, NativeParameter] = {
        **named("l0"),
        **named("l0", "forward_"),
        **named("l0_reverse", "backward_"),
        **named("l1", "second_"),
        **named("l1", "second_forward_"),
        **named("l1_reverse", "second_backward_"),
    }
    within = {
        name: NativeParameter(f"reader.{native.name}", native.axes, moved=native.moved)
        for name, native in cells.items()
    }
    table = NativeParameter("embedding.weight")
    return Lowering(made, _call, {"embeddings": table, **within}, definition=_PADDED)


ROWS: dict[str, Lowering] = {
    "padded_simple_rnn": _row("RNN", plain_cell),
    "padded_lstm": _row("LSTM", plain_cell),
    "padded_gru": _row("GRU", gru_cell),
}
