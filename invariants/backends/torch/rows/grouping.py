"""Norms within one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering, arguments
from invariants.backends.torch.rows.common import native_axis
from invariants.backends.torch.rows.normalization import (
    NORM,
    affine,
    channels_second,
    spanned,
    spanned_call,
    spanned_weight,
    spatial_axes,
)


def _group_norm(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(eps=layer.epsilon, **affine(layer))
    return f"nn.GroupNorm({layer.groups}, {specs[0].shape[-1]}, {options})"


def _group_norm_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    """Images and volumes are copied: what permute leaves behind counts as channels last.

    The backward pass of torch 2.13.0 for channels last writes the gradient to an input that asks
    for none, through a null pointer (ATen/native/cpu/group_norm_kernel.cpp); a crash ends the run.
    """
    if specs[0].rank > 2:
        return f"{name}({args[0]}.clone(memory_format=torch.contiguous_format))"
    return channels_second(layer, name, args, specs)


def _instance_norm(layer: Any, specs: Sequence[Spec]) -> str:
    weights = {"affine": True, **affine(layer)} if layer.names else {}
    options = arguments(eps=layer.epsilon, **weights)
    return f"nn.InstanceNorm{spatial_axes(specs)}d({specs[0].shape[-1]}, {options})"


def _rms_norm(layer: Any, specs: Sequence[Spec]) -> str:
    unscaled = {} if layer.scaled else {"elementwise_affine": False}
    return f"nn.RMSNorm({spanned(layer, specs[0])}, {arguments(eps=layer.epsilon, **unscaled)})"


def _unit_normalization_call(
    layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]
) -> str:
    axes = tuple(native_axis(axis, specs[0].rank) for axis in layer.axes)
    return f"F.normalize({args[0]}, dim={axes[0] if len(axes) == 1 else axes})"


ROWS: dict[str, Lowering] = {
    "group_norm": Lowering(_group_norm, _group_norm_call, NORM),
    "instance_norm": Lowering(_instance_norm, channels_second, NORM),
    "rms_norm": Lowering(
        _rms_norm,
        spanned_call,
        {"scale": spanned_weight("weight")},
    ),
    "unit_normalization": Lowering(None, _unit_normalization_call),
}
