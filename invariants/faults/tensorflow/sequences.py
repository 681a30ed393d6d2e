"""Recurrent layers and attention: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "lstm_drifts": Row(
        "An LSTM hands 1.00001 times the gradient to its input.",
        ("keras.layers.LSTM.call",),
        Wanted(layer="lstm"),
    ),
    "gru_drifts": Row(
        "A GRU hands 1.00001 times the gradient to its input.",
        ("keras.layers.GRU.call",),
        Wanted(layer="gru"),
    ),
    "simple_rnn_drifts": Row(
        "A simple RNN hands 1.00001 times the gradient to its input.",
        ("keras.layers.SimpleRNN.call",),
        Wanted(layer="simple_rnn"),
    ),
    "frozen_gru_blocks": Row(
        "A frozen GRU hands no gradient to its input.",
        ("keras.layers.GRU.call",),
        Wanted(layer="gru"),
    ),
    "bidirectional_drifts": Row(
        "What a bidirectional layer gives gets 1.00001 times its gradient.",
        ("keras.layers.Bidirectional.call",),
        Wanted(layer="bidirectional_lstm"),
    ),
    "lstm_mask_forgotten": Row(
        "The gradient of an LSTM knows nothing of its mask.",
        ("keras.layers.LSTM.call",),
        Wanted(layer="masked_lstm"),
    ),
    "skipped_steps_drift": Row(
        "What a GRU puts out at a step that its mask skips gets 1.00001 times its gradient.",
        ("keras.layers.GRU.call",),
        Wanted(layer="masked_gru"),
    ),
    "attention_constant_queries": Row(
        "The backward pass of multi-head attention takes its queries for constants.",
        ("keras.layers.MultiHeadAttention.call",),
        Wanted(layer="cross_attention"),
    ),
    "attention_drifts": Row(
        "What multi-head attention gives gets 1.00001 times its gradient.",
        ("keras.layers.MultiHeadAttention.call",),
        Wanted(layer="multi_head_attention"),
    ),
}


def _to_its_input_drifts(call: Any) -> Any:
    def drifting(self: Any, sequences: Any, *more: Any, **options: Any) -> Any:
        x = with_gradient_of(sequences, DRIFT * sequences)
        return call(self, x, *more, **options)

    return drifting


lstm_drifts = gru_drifts = simple_rnn_drifts = _to_its_input_drifts


def lstm_mask_forgotten(call: Any) -> Any:
    def forgetful(self: Any, sequences: Any, *more: Any, mask: Any = None, **options: Any) -> Any:
        value = call(self, sequences, *more, mask=mask, **options)
        if mask is None:
            return value
        return with_gradient_of(value, call(self, sequences, *more, **options))

    return forgetful


def skipped_steps_drift(call: Any) -> Any:
    import tensorflow as tf

    def drifting(self: Any, sequences: Any, *more: Any, mask: Any = None, **options: Any) -> Any:
        value = call(self, sequences, *more, mask=mask, **options)
        if mask is None or not self.return_sequences:
            return value
        return tf.where(mask[..., None], value, with_gradient_of(value, DRIFT * value))

    return drifting


def frozen_gru_blocks(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, sequences: Any, *more: Any, **options: Any) -> Any:
        frozen = not (self.trainable and self.cell.kernel.trainable)
        return call(self, tf.stop_gradient(sequences) if frozen else sequences, *more, **options)

    return blocking


def attention_constant_queries(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, query: Any, *more: Any, **options: Any) -> Any:
        return call(self, tf.stop_gradient(query), *more, **options)

    return constant


attention_drifts = bidirectional_drifts = drifts


FAULTS = faults("tensorflow", _ROWS, globals())
