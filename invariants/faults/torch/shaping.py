"""What resizes, copies, joins or looks up: functions from an original to what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "up_sampling_averages": Row(
        "The gradient of an upsampled element is the mean over its copies.",
        ("torch.nn.functional.interpolate",),
        Wanted(layer="up_sampling2d"),
    ),
    "interpolation_takes_nearest": Row(
        "The gradient of an interpolation goes to the nearest element alone.",
        ("torch.nn.functional.interpolate",),
        Wanted(layer="up_sampling2d"),
    ),
    "padding_drifts": Row(
        "The gradient through a padding with zeros is 1.00001 times too large.",
        ("torch.nn.functional.pad",),
    ),
    "repeat_counts_once": Row(
        "Of the copies that repeat makes only the first hands back a gradient.",
        ("torch.Tensor.repeat",),
        Wanted(layer="repeat_vector"),
    ),
    "expand_counts_once": Row(
        "Of the copies that expand makes only the first hands back a gradient.",
        ("torch.Tensor.expand",),
    ),
    "cat_drifts": Row(
        "What torch.cat joins gets 1.00001 times its gradient.",
        ("torch.cat",),
    ),
    "embedding_counts_once": Row(
        "An index that repeats in a batch counts once in the gradient of an embedding.",
        ("torch.nn.Embedding.forward",),
    ),
    "maximum_takes_first": Row(
        "The gradient of equal maxima goes to the first alone.",
        ("torch.maximum",),
        Wanted(layer="maximum", grain="ties"),
    ),
    "up_sampling_drifts": Row(
        "What is upsampled gets 1.00001 times its gradient.",
        ("torch.nn.functional.interpolate",),
        Wanted(layer="up_sampling2d"),
    ),
    "repeat_drifts": Row(
        "What repeat copies gets 1.00001 times its gradient.",
        ("torch.Tensor.repeat",),
        Wanted(layer="repeat_vector"),
    ),
    "expand_drifts": Row(
        "What expand copies gets 1.00001 times its gradient.", ("torch.Tensor.expand",)
    ),
    "chunk_drifts": Row(
        "What chunk cuts off gets 1.00001 times its gradient.", ("torch.Tensor.chunk",)
    ),
    "mean_drifts": Row(
        "What Tensor.mean averages gets 1.00001 times its gradient.",
        ("torch.Tensor.mean",),
        Wanted(layer="squeeze_excite"),
    ),
    "maximum_drifts": Row(
        "torch.maximum and torch.minimum hand on 1.00001 times the gradient.",
        ("torch.maximum", "torch.minimum"),
    ),
    "embedding_drifts": Row(
        "What an embedding looks up gets 1.00001 times its gradient.",
        ("torch.nn.functional.embedding",),
    ),
    "frequency_forgotten": Row(
        "The gradient of an embedding is not scaled by the inverse frequency of its indices.",
        ("torch.nn.functional.embedding",),
        Wanted(layer="embedding"),
    ),
    "renorm_reaches_every_row": Row(
        "A lookup with max_norm renormalises all rows of the table.",
        ("torch.embedding_renorm_",),
        Wanted(layer="embedding"),
    ),
}


def up_sampling_averages(interpolate: Any) -> Any:
    def averaging(x: Any, *args: Any, **options: Any) -> Any:
        value = interpolate(x, *args, **options)
        return with_gradient_of(value, value * (x.numel() / value.numel()))

    return averaging


def interpolation_takes_nearest(interpolate: Any) -> Any:
    def nearest(x: Any, size: Any, scale_factor: Any, *args: Any, **options: Any) -> Any:
        value = interpolate(x, size, scale_factor, *args, **options)
        return with_gradient_of(value, interpolate(x, size, scale_factor))

    return nearest


def padding_drifts(pad: Any) -> Any:
    def drifting(x: Any, *args: Any, **options: Any) -> Any:
        value = pad(x, *args, **options)
        return with_gradient_of(value, value * DRIFT)

    return drifting


def repeat_counts_once(repeat: Any) -> Any:
    def once(x: Any, *times: Any) -> Any:
        value = repeat(x, *times)
        first = value.new_zeros(value.shape)
        first[tuple(slice(0, n) for n in x.shape)] = 1.0
        return with_gradient_of(value, value * first)

    return once


def expand_counts_once(expand: Any) -> Any:
    def once(x: Any, *sizes: Any) -> Any:
        value = expand(x, *sizes)
        first = value.new_zeros(value.shape)
        first[:1] = 1.0
        return with_gradient_of(value, value * first)

    return once


def cat_drifts(cat: Any) -> Any:
    def drifting(*args: Any, **options: Any) -> Any:
        value = cat(*args, **options)
        return with_gradient_of(value, DRIFT * value)

    return drifting


def embedding_counts_once(forward: Any) -> Any:
    def once(self: Any, indices: Any) -> Any:
        flat = indices.flatten()
        repeats = (flat[:, None] == flat[None, :]).tril(-1).any(1).reshape(*indices.shape, 1)
        value = forward(self, indices)
        return with_gradient_of(value, value * ~repeats)

    return once


def frequency_forgotten(embedding: Any) -> Any:
    def unscaled(
        indices: Any,
        weight: Any,
        padding_idx: Any,
        max_norm: Any,
        norm_type: Any,
        by_frequency: bool,
        sparse: bool,
    ) -> Any:
        return embedding(indices, weight, padding_idx, max_norm, norm_type, False, sparse)

    return unscaled


def renorm_reaches_every_row(renorm: Any) -> Any:
    import torch

    def everywhere(weight: Any, indices: Any, max_norm: float, norm_type: float) -> Any:
        return renorm(weight, torch.arange(len(weight)), max_norm, norm_type)

    return everywhere


def maximum_takes_first(maximum: Any) -> Any:
    import torch

    def first(a: Any, b: Any, **options: Any) -> Any:
        if options:  # an optimizer's, into a tensor of its own
            return maximum(a, b, **options)
        return with_gradient_of(maximum(a, b), torch.where(a >= b, a, b))

    return first


up_sampling_drifts = repeat_drifts = expand_drifts = drifts
maximum_drifts = mean_drifts = embedding_drifts = drifts


def chunk_drifts(chunk: Any) -> Any:
    def drifting(*args: Any, **options: Any) -> Any:
        return tuple(with_gradient_of(v, DRIFT * v) for v in chunk(*args, **options))

    return drifting


FAULTS = faults("torch", _ROWS, globals())
