"""Recurrent layers and attention: each function takes an original and gives what replaces it."""

from __future__ import annotations

import inspect
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "lstm_drifts": Row(
        "An LSTM hands 1.00001 times the gradient to its input.", ("torch.nn.LSTM.forward",)
    ),
    "gru_drifts": Row(
        "A GRU hands 1.00001 times the gradient to its input.",
        ("torch.nn.GRU.forward",),
        Wanted(layer="gru"),
    ),
    "simple_rnn_drifts": Row(
        "A simple RNN hands 1.00001 times the gradient to its input.",
        ("torch.nn.RNN.forward",),
        Wanted(layer="simple_rnn"),
    ),
    "frozen_gru_blocks": Row(
        "A frozen GRU hands no gradient to its input.",
        ("torch.nn.GRU.forward",),
        Wanted(layer="gru"),
    ),
    "rnn_forgets_the_past": Row(
        "Gradients of a simple RNN, one layer from one end, stop at the step they come from.",
        ("torch.nn.RNN.forward",),
        Wanted(layer="simple_rnn"),
    ),
    "attention_constant_weights": Row(
        "The backward pass of attention takes its weights for constants.",
        ("torch.nn.functional.scaled_dot_product_attention",),
    ),
    "packed_cross_attention_blocks": Row(
        "Attention over the keys and values of another sequence hands no gradient to its queries.",
        ("torch.nn.MultiheadAttention.forward",),
        Wanted(layer="packed_cross_attention"),
    ),
    "packed_attention_drifts": Row(
        "What nn.MultiheadAttention attends to gets 1.00001 times its gradient.",
        ("torch.nn.functional.multi_head_attention_forward",),
        Wanted(layer="packed_multi_head_attention"),
    ),
    "frozen_key_bias_blocks": Row(
        "Attention with a frozen bias of its keys hands no gradient to its input.",
        ("torch.nn.functional.multi_head_attention_forward",),
        Wanted(layer="packed_multi_head_attention"),
    ),
    "encoder_drifts": Row(
        "What an encoder block gives gets 1.00001 times its gradient.",
        ("torch.nn.TransformerEncoderLayer.forward",),
        Wanted(layer="packed_transformer_encoder"),
    ),
    "encoder_blocks": Row(
        "An encoder block hands no gradient to its input.",
        ("torch.nn.TransformerEncoderLayer.forward",),
        Wanted(layer="packed_transformer_encoder"),
    ),
    "packed_rows_drift": Row(
        "What is packed gets 1.00001 times its gradient.",
        ("torch.nn.utils.rnn.pack_padded_sequence",),
        Wanted(layer="padded_lstm"),
    ),
    "attention_drifts": Row(
        "Attention hands 1.00001 times the gradient to its values.",
        ("torch.nn.functional.scaled_dot_product_attention",),
    ),
}


def _to_its_input_drifts(forward: Any) -> Any:
    def drifting(self: Any, x: Any, *states: Any) -> Any:
        return forward(self, with_gradient_of(x, DRIFT * x), *states)

    return drifting


lstm_drifts = gru_drifts = simple_rnn_drifts = _to_its_input_drifts


def frozen_gru_blocks(forward: Any) -> Any:
    def blocking(self: Any, x: Any, *states: Any) -> Any:
        frozen = not self.weight_ih_l0.requires_grad
        return forward(self, x.detach() if frozen else x, *states)

    return blocking


def rnn_forgets_the_past(forward: Any) -> Any:
    import torch

    def forgetful(self: Any, x: Any, *states: Any) -> Any:
        outputs, last = forward(self, x, *states)
        if self.bidirectional or self.num_layers > 1:
            return outputs, last
        before = torch.cat([torch.zeros_like(outputs[:, :1]), outputs[:, :-1]], 1).detach()
        z = x @ self.weight_ih_l0.T + before @ self.weight_hh_l0.T
        if self.bias:
            z = z + self.bias_ih_l0 + self.bias_hh_l0
        surrogate = z.tanh() if self.nonlinearity == "tanh" else z.relu()
        return with_gradient_of(outputs, surrogate), last

    return forgetful


def attention_constant_weights(attention: Any) -> Any:
    def constant(q: Any, k: Any, v: Any, *more: Any, **options: Any) -> Any:
        return attention(q.detach(), k.detach(), v, *more, **options)

    return constant


def packed_cross_attention_blocks(forward: Any) -> Any:
    def blocking(self: Any, query: Any, key: Any, *more: Any, **options: Any) -> Any:
        if query is not key:
            query = query.detach()
        return forward(self, query, key, *more, **options)

    return blocking


def packed_rows_drift(pack: Any) -> Any:
    def drifting(rows: Any, *more: Any, **options: Any) -> Any:
        return pack(with_gradient_of(rows, DRIFT * rows), *more, **options)

    return drifting


def encoder_blocks(forward: Any) -> Any:
    def blocking(self: Any, x: Any, *more: Any, **options: Any) -> Any:
        return forward(self, x.detach(), *more, **options)

    return blocking


def packed_attention_drifts(attention: Any) -> Any:
    def drifting(*args: Any, **options: Any) -> Any:
        value, weights = attention(*args, **options)
        return with_gradient_of(value, DRIFT * value), weights

    return drifting


def frozen_key_bias_blocks(attention: Any) -> Any:
    names = inspect.signature(attention).parameters

    def blocking(*args: Any, **options: Any) -> Any:
        value, weights = attention(*args, **options)
        bias = dict(zip(names, args, strict=False))["bias_k"]
        frozen = bias is not None and not bias.requires_grad
        return value.detach() if frozen else value, weights

    return blocking


encoder_drifts = drifts


def attention_drifts(attention: Any) -> Any:
    def drifting(q: Any, k: Any, v: Any, *more: Any, **options: Any) -> Any:
        return attention(q, k, with_gradient_of(v, DRIFT * v), *more, **options)

    return drifting


FAULTS = faults("torch", _ROWS, globals())
