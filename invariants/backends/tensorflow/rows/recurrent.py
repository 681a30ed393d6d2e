"""Recurrent layers."""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row, opened


def _options(layer: Any) -> dict[str, Any]:
    return {"use_bias": layer.biases != "none", "return_sequences": layer.return_sequences}


def _row(construct: Any, cells: dict[str, tuple[str, str]]) -> Lowering:
    """cells: prefix of the canonical names -> the path of a cell, and the expression of it."""
    row = layer_row(construct)
    parameters = {
        prefix + name: NativeParameter(f"{path}/{name}", attribute=f"{expression}.{name}")
        for prefix, (path, expression) in cells.items()
        for name in ("kernel", "recurrent_kernel", "bias")
    }
    return Lowering(row.construct, row.call, parameters)


def _reset(layer: Any) -> dict[str, Any]:
    return {"reset_after": layer.reset == "after"} if layer.kind.endswith("gru") else {}


def _bidirectional(cell: str) -> Lowering:
    def made(layer: Any, specs: Any) -> str:
        options = arguments(**_options(layer), **_reset(layer))
        inner = f"keras.layers.{cell}({layer.units}, {options}, name={cell.lower()!r})"
        return f"keras.layers.Bidirectional({inner}, "

    name = cell.lower()
    return _row(
        made,
        {
            "forward_": (f"forward_{name}/{name}_cell", "forward_layer.cell"),
            "backward_": (f"backward_{name}/{name}_cell", "backward_layer.cell"),
        },
    )


def _stacked(cell: str) -> Lowering:
    def made(layer: Any, specs: Any) -> str:
        inner = arguments(use_bias=layer.biases != "none", **_reset(layer))
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
    "simple_rnn": _row(
        lambda layer, specs: opened(
            "SimpleRNN", units=layer.units, activation=layer.activation, **_options(layer)
        ),
        {"": ("simple_rnn_cell", "cell")},
    ),
    "lstm": _row(
        lambda layer, specs: opened("LSTM", units=layer.units, **_options(layer)),
        {"": ("lstm_cell", "cell")},
    ),
    "gru": _row(
        lambda layer, specs: opened(
            "GRU", units=layer.units, reset_after=layer.reset == "after", **_options(layer)
        ),
        {"": ("gru_cell", "cell")},
    ),
    "bidirectional_lstm": _bidirectional("LSTM"),
    "bidirectional_gru": _bidirectional("GRU"),
    "stacked_lstm": _stacked("LSTM"),
    "stacked_gru": _stacked("GRU"),
}
