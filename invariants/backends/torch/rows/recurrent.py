"""Recurrent layers.

Each parameter has one native twin: torch's two bias vectors are two canonical parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Array, Lowering, NativeParameter, arguments


def plain_cell(suffix: str = "l0", prefix: str = "") -> dict[str, NativeParameter]:
    """The parameters of one cell; prefix: what their canonical names begin with."""
    return {
        prefix + "kernel": NativeParameter(f"weight_ih_{suffix}", (1, 0)),
        prefix + "recurrent_kernel": NativeParameter(f"weight_hh_{suffix}", (1, 0)),
        prefix + "bias": NativeParameter(f"bias_ih_{suffix}"),
        prefix + "recurrent_bias": NativeParameter(f"bias_hh_{suffix}"),
        prefix + "projection": NativeParameter(f"weight_hr_{suffix}", (1, 0)),
    }


def _reset_first(array: Array) -> Array:
    """The gates z, r, n along the last axis as r, z, n along the first."""
    z, r, n = np.split(array, 3, axis=-1)
    return np.concatenate([r, z, n], axis=-1).T


def gru_cell(suffix: str = "l0", prefix: str = "") -> dict[str, NativeParameter]:
    """The same of a GRU."""
    return {
        name: NativeParameter(native.name, moved=_reset_first)
        for name, native in plain_cell(suffix, prefix).items()
    }


def reader(module: str, layer: Any, features: int, **options: Any) -> str:
    """The construction of a recurrent layer over rows of so many features."""
    own: dict[str, Any] = {"bias": layer.biases != "none", "batch_first": True}
    if module == "RNN":
        own["nonlinearity"] = layer.activation
    if getattr(layer, "levels", 1) > 1:
        own["num_layers"] = layer.levels
    if getattr(layer, "projected_to", 0):
        own["proj_size"] = layer.projected_to
    return f"nn.{module}({features}, {layer.units}, {arguments(**own, **options)})"


def _call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    outputs = f"{name}({args[0]})[0]"
    return outputs if layer.return_sequences else f"{outputs}[:, -1]"


def _both_ends(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """The second result is h_n, of shape (levels · 2, N, units); that of an LSTM (h_n, c_n)."""
    if layer.return_sequences:
        return f"{name}({args[0]})[0]"
    last = "[1][0]" if layer.states > 1 else "[1]"
    last += "[-2:]" if layer.levels > 1 else ""
    return f"torch.cat(tuple({name}({args[0]}){last}), dim=-1)"


def _row(
    module: str, parameters: Mapping[str, NativeParameter], call: Any = _call, **options: Any
) -> Lowering:
    def made(layer: Any, specs: Sequence[Spec]) -> str:
        return reader(module, layer, specs[0].shape[-1], **options)

    return Lowering(made, call, parameters)


def _bidirectional(module: str, named: Any) -> Lowering:
    """named: the parameters of one cell, by suffix and prefix."""
    parameters = {
        **named("l0", "forward_"),
        **named("l0_reverse", "backward_"),
        **named("l1", "second_forward_"),
        **named("l1_reverse", "second_backward_"),
    }
    return _row(module, parameters, _both_ends, bidirectional=True)


def _stacked(module: str, named: Any) -> Lowering:
    parameters = {**named("l0", "first_"), **named("l1", "second_")}
    return _row(module, parameters, num_layers=2)


ROWS: dict[str, Lowering] = {
    "simple_rnn": _row("RNN", plain_cell()),
    "lstm": _row("LSTM", plain_cell()),
    "gru": _row("GRU", gru_cell()),
    "bidirectional_simple_rnn": _bidirectional("RNN", plain_cell),
    "bidirectional_lstm": _bidirectional("LSTM", plain_cell),
    "bidirectional_gru": _bidirectional("GRU", gru_cell),
    "stacked_simple_rnn": _stacked("RNN", plain_cell),
    "stacked_lstm": _stacked("LSTM", plain_cell),
    "stacked_gru": _stacked("GRU", gru_cell),
}
