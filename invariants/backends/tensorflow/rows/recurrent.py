"""Recurrent layers."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row, opened


def cell_options(layer: Any) -> dict[str, Any]:
    """The options of a cell, beside its units.

    The orthogonal initializer by default takes a QR decomposition, which has no kernel in 16 bits;
    what it makes is overwritten anyway.
    """
    options = {"use_bias": layer.biases != "none", "recurrent_initializer": "zeros"}
    if layer.kind.endswith("rnn") or layer.activation != "tanh":
        options["activation"] = layer.activation
    if getattr(layer, "gate", "sigmoid") != "sigmoid":
        options["recurrent_activation"] = layer.gate
    if layer.kind.endswith("gru"):
        options["reset_after"] = layer.reset == "after"
    return options


def _options(layer: Any) -> dict[str, Any]:
    backwards = {"go_backwards": True} if layer.backwards else {}
    return {**cell_options(layer), "return_sequences": layer.return_sequences, **backwards}


def _row(construct: Any, cells: dict[str, tuple[str, str]]) -> Lowering:
    """cells: prefix of the canonical names -> the path of a cell, and the expression of it."""
    row = layer_row(construct)
    parameters = {
        prefix + name: NativeParameter(f"{path}/{name}", attribute=f"{expression}.{name}")
        for prefix, (path, expression) in cells.items()
        for name in ("kernel", "recurrent_kernel", "bias")
    }
    return Lowering(row.construct, row.call, parameters)


def _single(cell: str, name: str) -> Lowering:
    return _row(
        lambda layer, specs: opened(cell, units=layer.units, **_options(layer)),
        {"": (f"{name}_cell", "cell")},
    )


def _bidirectional(cell: str, name: str) -> Lowering:
    def made(layer: Any, specs: Any) -> str:
        inner = f"keras.layers.{cell}({layer.units}, {arguments(**_options(layer))}, name={name!r})"
        merge = "" if layer.merge == "concat" else f"merge_mode={layer.merge!r}, "
        return f"keras.layers.Bidirectional({inner}, {merge}"

    return _row(
        made,
        {
            "forward_": (f"forward_{name}/{name}_cell", "forward_layer.cell"),
            "backward_": (f"backward_{name}/{name}_cell", "backward_layer.cell"),
        },
    )


def _stacked(cell: str) -> Lowering:
    def made(layer: Any, specs: Any) -> str:
        inner = arguments(**cell_options(layer))
        cells = ", ".join(
            f"keras.layers.{cell}Cell({layer.units}, {inner}, name={name!r})"
            for name in ("first", "second")
        )
        options = arguments(return_sequences=layer.return_sequences)
        return (
            f"keras.layers.RNN(keras.layers.StackedRNNCells([{cells}], name='cells'), {options}, "
        )

    return _row(
        made,
        {
            "first_": ("cells/first", "cell.cells[0]"),
            "second_": ("cells/second", "cell.cells[1]"),
        },
    )


ROWS: dict[str, Lowering] = {
    "simple_rnn": _single("SimpleRNN", "simple_rnn"),
    "lstm": _single("LSTM", "lstm"),
    "gru": _single("GRU", "gru"),
    "bidirectional_simple_rnn": _bidirectional("SimpleRNN", "simple_rnn"),
    "bidirectional_lstm": _bidirectional("LSTM", "lstm"),
    "bidirectional_gru": _bidirectional("GRU", "gru"),
    "stacked_simple_rnn": _stacked("SimpleRNN"),
    "stacked_lstm": _stacked("LSTM"),
    "stacked_gru": _stacked("GRU"),
}
