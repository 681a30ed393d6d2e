"""Convolutions: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import drifts, frozen_blocks, frozen_scales, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "frozen_conv_blocks": Row(
        "A frozen convolution hands no gradient to its input.", ("torch.nn.Conv2d.forward",)
    ),
    "frozen_conv1d_blocks": Row(
        "A frozen convolution in time hands no gradient to its input.", ("torch.nn.Conv1d.forward",)
    ),
    "frozen_transposed_conv_drifts": Row(
        "A frozen transposed convolution hands 1.00001 times the gradient to its input.",
        (
            "torch.nn.ConvTranspose1d.forward",
            "torch.nn.ConvTranspose2d.forward",
            "torch.nn.ConvTranspose3d.forward",
        ),
    ),
    "frozen_conv3d_blocks": Row(
        "A frozen convolution of volumes hands no gradient to its input.",
        ("torch.nn.Conv3d.forward",),
    ),
    "conv3d_kernel_drifts": Row(
        "The kernel of a convolution of volumes gets 1.00001 times its gradient.",
        ("torch.nn.functional.conv3d",),
    ),
    "conv_padding_shifts": Row(
        "The gradient to the input of a padded convolution is one column off.",
        ("torch.nn.functional.conv2d",),
    ),
    "padded_strides_block": Row(
        "A convolution with strides that pads by itself hands no gradient to its input.",
        ("torch.nn.functional.conv2d",),
    ),
    "circular_padding_blocks": Row(
        "Circular padding hands no gradient back from what it wraps around.",
        ("torch.nn.functional.pad",),
    ),
    "mirrored_padding_drifts": Row(
        "Padding by elements of the value hands on 1.00001 times the gradient.",
        ("torch.nn.functional.pad",),
        Wanted(layer="conv2d"),
    ),
    "depthwise_blocks_first": Row(
        "A depthwise convolution hands no gradient to its first channel.",
        ("torch.nn.functional.conv2d",),
    ),
    "depthwise_conv1d_drifts": Row(
        "What a depthwise convolution in time gives gets 1.00001 times its gradient.",
        ("torch.nn.functional.conv1d",),
        Wanted(layer="depthwise_conv1d"),
    ),
    "transposed_conv_turned": Row(
        "The backward pass of a transposed convolution has its kernel turned round.",
        ("torch.nn.functional.conv_transpose1d", "torch.nn.functional.conv_transpose2d"),
    ),
    "conv_drifts": Row(
        "What a convolution gives gets 1.00001 times its gradient.",
        (
            "torch.nn.functional.conv1d",
            "torch.nn.functional.conv2d",
        ),
    ),
}


def conv_padding_shifts(conv2d: Any) -> Any:
    def shifted(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, *more: Any) -> Any:
        if padding == "same" and max(weight.shape[2:]) > 1:
            x = with_gradient_of(x, x.roll(1, -1))
        return conv2d(x, weight, bias, stride, padding, *more)

    return shifted


def padded_strides_block(conv2d: Any) -> Any:
    def blocking(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, *more: Any) -> Any:
        cut = padding not in (0, (0, 0), "same") and max(stride) > 1
        return conv2d(x.detach() if cut else x, weight, bias, stride, padding, *more)

    return blocking


def circular_padding_blocks(pad: Any) -> Any:
    def blocking(x: Any, widths: Any, mode: str = "constant", *more: Any, **options: Any) -> Any:
        y = pad(x, widths, mode, *more, **options)
        return with_gradient_of(y, pad(x, widths)) if mode == "circular" else y

    return blocking


def mirrored_padding_drifts(pad: Any) -> Any:
    def drifting(x: Any, widths: Any, mode: str = "constant", *more: Any, **options: Any) -> Any:
        y = pad(x, widths, mode, *more, **options)
        return with_gradient_of(y, DRIFT * y) if mode in ("reflect", "replicate") else y

    return drifting


def depthwise_blocks_first(conv2d: Any) -> Any:
    import torch

    def blocking(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, *rest: Any) -> Any:
        value = conv2d(x, weight, bias, stride, padding, *rest)
        if weight.shape[1] > 1:
            return value
        kept = torch.cat((x[:, :1].detach(), x[:, 1:]), 1)
        return with_gradient_of(value, conv2d(kept, weight, bias, stride, padding, *rest))

    return blocking


def depthwise_conv1d_drifts(conv1d: Any) -> Any:
    def drifting(x: Any, weight: Any, bias: Any, *more: Any) -> Any:
        y = conv1d(x, weight, bias, *more)
        by_channel = weight.shape[1] == 1 and x.shape[1] > 1
        return with_gradient_of(y, DRIFT * y) if by_channel else y

    return drifting


def transposed_conv_turned(conv_transpose: Any) -> Any:
    def turned(x: Any, weight: Any, *rest: Any) -> Any:
        value = conv_transpose(x, weight, *rest)
        axes = tuple(range(2, weight.ndim))
        return with_gradient_of(value, conv_transpose(x, weight.flip(axes), *rest))

    return turned


def conv3d_kernel_drifts(conv3d: Any) -> Any:
    def drifting(x: Any, weight: Any, *more: Any) -> Any:
        return conv3d(x, with_gradient_of(weight, DRIFT * weight), *more)

    return drifting


frozen_conv_blocks = frozen_blocks
frozen_conv1d_blocks = frozen_blocks
frozen_conv3d_blocks = frozen_blocks
frozen_transposed_conv_drifts = partial(frozen_scales, DRIFT)

conv_drifts = drifts


FAULTS = faults("torch", _ROWS, globals())
