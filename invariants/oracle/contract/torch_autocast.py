"""What torch.autocast makes of each kind of layer and of each loss on a CPU.

Documented is a list of operations that run in the lower format, one of those that run in float32,
and that all others run in the type of what they are given, whichever is the widest:
https://docs.pytorch.org/docs/stable/amp.html#cpu-op-specific-behavior. Here stands what follows for
layers that are made of several.
"""

from __future__ import annotations

from collections.abc import Sequence

from invariants.oracle.contract.formats import Formats

#: Whose operations are of the first list: linear, matmul, bmm, conv, conv_transpose, prelu,
#: scaled_dot_product_attention and the cells of an RNN.
LOWERED = frozenset(
    {
        "bidirectional_lstm",
        "bidirectional_simple_rnn",
        "conv1d",
        "conv1d_transpose",
        "conv2d",
        "conv2d_transpose",
        "conv3d_transpose",
        "conv3d",
        "cross_attention",
        "dense",
        "depthwise_conv1d",
        "depthwise_conv2d",
        "dot",
        "dot_product_attention",
        "lora_conv2d",
        "lora_dense",
        "lstm",
        "multi_head_attention",
        "packed_multi_head_attention",
        "packed_cross_attention",
        "padded_lstm",
        "padded_simple_rnn",
        "prefix_attention",
        "prelu",
        "separable_conv1d",
        "separable_conv2d",
        "simple_rnn",
        "spectral_norm_conv2d",
        "spectral_norm_dense",
        "stacked_lstm",
        "stacked_simple_rnn",
        "tied_embedding",
        "weight_norm_conv2d",
        "weight_norm_dense",
    }
)

#: Which have such operations inside, and put out what they are given: a gate, a residual.
LOWERED_INSIDE = frozenset(
    {
        "bidirectional_gru",
        "bottleneck",
        "film",
        "gru",
        "squeeze_excite",
        "stacked_gru",
        "transformer_encoder",
        "packed_transformer_encoder",
    }
)

#: Which have such operations inside, and end with one that a float32 weight takes part in.
WIDENED_INSIDE = frozenset({"lora_embedding", "padded_gru", "projection"})

#: Whose operations are of the second list, or take float32 weights as they are.
WIDENED = frozenset(
    {
        "embedding",
        "global_avg_pool3d",
        "global_max_pool3d",
        "positional_embedding",
        "prompt_tokens",
    }
)

#: The losses that begin with an operation of neither list, softmax or sigmoid; the others are cast
#: to float32 first.
LOSSES_AS_GIVEN = frozenset(
    {
        "binary_likelihood",
        "cross_entropy",
        "dense_cross_entropy",
        "dense_likelihood",
        "kl_divergence",
        "likelihood",
        "smoothed_cross_entropy",
    }
)


def lowered(kind: str, given: Sequence[bool]) -> tuple[bool, bool]:
    """Whether a layer computes in the lower format, and whether it puts that out.

    given: whether each of its inputs is in the lower format.
    """
    if kind in LOWERED:
        return True, True
    if kind in LOWERED_INSIDE:
        return True, all(given)
    if kind in WIDENED_INSIDE | WIDENED:
        return kind in WIDENED_INSIDE, False
    return any(given), all(given)


def casts(kind: str) -> bool:
    """Whether a layer casts what it is given, and its weights once for each region."""
    return kind in LOWERED | LOWERED_INSIDE | WIDENED_INSIDE


#: Whose weights are computed of others before they are cast, but for a bias.
_PARAMETRIZED = frozenset(
    f"{norm}_norm_{layer}" for norm in ("spectral", "weight") for layer in ("conv2d", "dense")
)


def keeps_cast(kind: str, weight: str) -> bool:
    """Whether the cast of a layer's weight is kept: that of a leaf is, that of a view is not.

    The projection of an LSTM is transposed at every step (matmul_hr in ATen/native/RNN.cpp), what
    is packed for queries and keys that are not one tensor is split (_in_projection_packed in
    torch/nn/functional.py).
    """
    split = kind == "packed_cross_attention" and weight.startswith("packed_")
    transposed = "lstm" in kind and weight.endswith("projection")
    return not (split or transposed) and (kind not in _PARAMETRIZED or weight == "bias")


def formats(kind: str, given: Sequence[bool]) -> Formats:
    """Those of a layer; given: whether each of its inputs is in the lower format."""
    inside, outside = lowered(kind, given)
    return Formats((True,) if casts(kind) else (), casts(kind), inside, outside)
