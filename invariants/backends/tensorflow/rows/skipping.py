"""Tables that mask index 0, and recurrent layers that the mask reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row
from invariants.backends.tensorflow.rows.embedding import MASKING_TABLE, masking_table
from invariants.backends.tensorflow.rows.recurrent import cell_options

#: What ends a mask: a layer that hands none on, and puts out another tensor than it was given.
#: Registered, for the model that holds it is cloned by its config.
_UNMASKED = '''\
@keras.saving.register_keras_serializable()
class Unmasked(keras.layers.Layer):
    """Hands on a sequence without its mask."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return keras.ops.copy(x)

    def compute_mask(self, x, mask=None):
        return None
'''

#: The names of the two levels, and what the canonical names of their weights begin with.
_LEVELS = {"first": "", "second": "second_"}

#: What follows there -> (the layer that holds the cell, the expression of it), within a level.
_ENDS = {
    "": ("", ""),
    "forward_": ("forward_{}/", "forward_layer."),
    "backward_": ("backward_{}/", "backward_layer."),
}


def _parameters(name: str) -> Iterator[tuple[str, NativeParameter]]:
    """Those that a layer has with one cell or two, and one level or two, by canonical name."""
    for level, prefix in _LEVELS.items():
        for end, (path, expression) in _ENDS.items():
            for weight in ("kernel", "recurrent_kernel", "bias"):
                yield (
                    prefix + end + weight,
                    NativeParameter(
                        f"{level}.{path.format(name)}{name}_cell/{weight}",
                        attribute=f"get_layer({level!r}).{expression}cell.{weight}",
                    ),
                )


def _reader(cell: str, name: str, layer: Any, level: str, *, whole: bool) -> str:
    """A recurrent layer, or one from each end; whole: with the output of every step."""
    own = {**cell_options(layer), "return_sequences": whole}
    if layer.skipped == "zeros":
        own["zero_output_for_mask"] = True
    if layer.ends == 1:
        return f"keras.layers.{cell}({layer.units}, {arguments(**own)}, name={level!r})"
    inner = f"keras.layers.{cell}({layer.units}, {arguments(**own)}, name={name!r})"
    return f"keras.layers.Bidirectional({inner}, name={level!r})"


def _masked(cell: str, name: str) -> Lowering:
    def made(layer: Any, specs: Any) -> str:
        levels = [*_LEVELS][: layer.levels]
        readers = [
            _reader(cell, name, layer, level, whole=layer.return_sequences or level != levels[-1])
            for level in levels
        ]
        ended = ["Unmasked(name='unmasked')"] if layer.return_sequences else []
        return f"keras.Sequential([{', '.join([masking_table(layer, specs), *readers, *ended])}], "

    row = layer_row(made)
    parameters = {"embeddings": MASKING_TABLE, **dict(_parameters(name))}
    return Lowering(row.construct, row.call, parameters, definition=_UNMASKED)


ROWS: dict[str, Lowering] = {
    "masked_simple_rnn": _masked("SimpleRNN", "simple_rnn"),
    "masked_lstm": _masked("LSTM", "lstm"),
    "masked_gru": _masked("GRU", "gru"),
}
