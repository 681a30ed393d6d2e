"""Norms: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import drifts, frozen_blocks, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "frozen_layer_norm_blocks": Row(
        "A frozen layer norm hands no gradient to its input.", ("torch.nn.LayerNorm.forward",)
    ),
    "layer_norm_forgets_mean": Row(
        "The backward pass of layer norm drops the term of the mean.",
        ("torch.nn.functional.layer_norm",),
    ),
    "layer_norm_over_all_blocks": Row(
        "A layer norm over several axes hands no gradient to its input.",
        ("torch.nn.functional.layer_norm",),
        Wanted(layer="layer_norm"),
    ),
    "batch_norm_constant_moments": Row(
        "The backward pass of batch norm takes the batch's moments for constants.",
        ("torch.nn.functional.batch_norm",),
    ),
    "group_norm_constant_moments": Row(
        "The backward pass of group norm takes the moments for constants.",
        ("torch.nn.functional.group_norm",),
    ),
    "frozen_group_norm_blocks": Row(
        "A frozen group norm hands no gradient to its input.", ("torch.nn.GroupNorm.forward",)
    ),
    "layer_norm_drifts": Row(
        "What a layer norm gives gets 1.00001 times its gradient.",
        ("torch.nn.functional.layer_norm",),
    ),
    "batch_norm_drifts": Row(
        "What a batch norm gives gets 1.00001 times its gradient.",
        ("torch.nn.functional.batch_norm",),
    ),
    "group_norm_drifts": Row(
        "What a group norm gives gets 1.00001 times its gradient.",
        ("torch.nn.functional.group_norm",),
    ),
    "rms_norm_drifts": Row(
        "What an RMS norm gives gets 1.00001 times its gradient.", ("torch.nn.functional.rms_norm",)
    ),
    "instance_norm_drifts": Row(
        "What an instance norm gives gets 1.00001 times its gradient.",
        ("torch.nn.functional.instance_norm",),
        Wanted(layer="instance_norm"),
    ),
    "unit_normalization_drifts": Row(
        "What torch.nn.functional.normalize gives gets 1.00001 times its gradient.",
        ("torch.nn.functional.normalize",),
        Wanted(layer="unit_normalization"),
    ),
}


def layer_norm_forgets_mean(layer_norm: Any) -> Any:
    def forgetful(x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
        axes = tuple(range(-len(shape), 0))
        mean = x.mean(axes, keepdim=True).detach()
        variance = x.var(axes, correction=0, keepdim=True)
        surrogate = (x - mean) * (variance + eps).rsqrt()
        surrogate = surrogate if weight is None else surrogate * weight
        surrogate = surrogate if bias is None else surrogate + bias
        return with_gradient_of(layer_norm(x, shape, weight, bias, eps), surrogate)

    return forgetful


def layer_norm_over_all_blocks(layer_norm: Any) -> Any:
    def blocking(x: Any, shape: Any, *more: Any) -> Any:
        return layer_norm(x.detach() if len(shape) > 1 else x, shape, *more)

    return blocking


def batch_norm_constant_moments(batch_norm: Any) -> Any:
    def constant(
        x: Any, mean: Any, variance: Any, weight: Any, bias: Any, training: bool, *more: Any
    ) -> Any:
        value = batch_norm(x, mean, variance, weight, bias, training, *more)
        if not training:
            return value
        axes = [axis for axis in range(x.dim()) if axis != 1]
        inner = (1, -1, *[1] * (x.dim() - 2))
        scale = (x.var(axes, correction=0, keepdim=True) + more[-1]).rsqrt().detach()
        centred = x - x.mean(axes, keepdim=True).detach()
        surrogate = centred * scale
        if weight is not None:
            surrogate = surrogate * weight.reshape(inner) + bias.reshape(inner)
        return with_gradient_of(value, surrogate)

    return constant


def group_norm_constant_moments(group_norm: Any) -> Any:
    def constant(x: Any, groups: int, weight: Any, bias: Any, eps: float) -> Any:
        value = group_norm(x, groups, weight, bias, eps)
        grouped = x.reshape(x.shape[0], groups, -1)
        mean = grouped.mean(-1, keepdim=True).detach()
        scale = (grouped.var(-1, correction=0, keepdim=True) + eps).rsqrt().detach()
        surrogate = ((grouped - mean) * scale).reshape(x.shape)
        if weight is not None:
            inner = (1, -1, *[1] * (x.dim() - 2))
            surrogate = surrogate * weight.reshape(inner) + bias.reshape(inner)
        return with_gradient_of(value, surrogate)

    return constant


frozen_layer_norm_blocks = frozen_blocks
frozen_group_norm_blocks = frozen_blocks
layer_norm_drifts = batch_norm_drifts = group_norm_drifts = rms_norm_drifts = drifts
instance_norm_drifts = unit_normalization_drifts = drifts


FAULTS = faults("torch", _ROWS, globals())
