"""Convolution over images, (H, W, C) -> (OH, OW, C'), and over sequences, (T, F) -> (OT, F')."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Extent,
    Layer,
    Parameter,
    ShapeError,
    Size,
    Spec,
)
from invariants.architecture.layers.windowed import (
    Windowed,
    draw_dilations,
    draw_padding,
    draw_padding_mode,
    draw_stride,
    each,
)
from invariants.oracle.primitives import Pair
from invariants.oracle.tape import Value


class Image(Layer):
    """What layers over images have in common."""

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 3


class Series(Layer):
    """What layers over sequences have in common."""

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 2


def as_image(x: Value) -> Value:
    """(N, T, F) -> (N, T, 1, F)."""
    n, time, features = x.shape
    return x.reshape(n, time, 1, features)


def as_series(x: Value) -> Value:
    """(N, T, 1, F) -> (N, T, F)."""
    n, time, _, features = x.shape
    return x.reshape(n, time, features)


def describe_image(spec: Spec) -> str:
    return f"an image of {spec.shape[0]} by {spec.shape[1]}"


def convolved(
    call: Call, x: Value, kernel: Value, groups: int, strides: Pair, dilation: Pair
) -> Value:
    """(N, H, W, C) with a kernel (KH, KW, C / groups, filters) -> (N, OH, OW, filters)."""
    patches = x.apply("patches", kernel=kernel.shape[:2], strides=strides, dilation=dilation)
    if _read_before_written(call, patches):
        kernel = kernel.apply("unjudged")
    return grouped_products(patches, kernel, groups)


def grouped_products(patches: Value, kernel: Value, groups: int) -> Value:
    """(N, ..., taps, C) with a kernel (..., C / groups, filters) -> (N, ..., filters)."""
    *positions, taps, channels = patches.shape
    channels, filters = channels // groups, kernel.shape[-1] // groups
    parts = []
    for group in range(groups):
        window, weight = patches, kernel
        if groups > 1:
            window = patches.apply("slice", start=group * channels, stop=(group + 1) * channels)
            weight = kernel.apply("slice", start=group * filters, stop=(group + 1) * filters)
        terms = taps * channels
        parts.append(window.reshape(*positions, terms) @ weight.reshape(terms, filters))
    return parts[0] if groups == 1 else patches.tape.apply("concatenate", *parts)


def _read_before_written(call: Call, patches: Value) -> bool:
    """Whether a known issue may make the kernel's gradient of what memory held: see the ledger."""
    issue = call.contract["kernel_gradient_in_bfloat16"] == "uninitialised"
    narrow = patches.tape.rounding.precision.name == "bfloat16"
    one_position = math.prod(patches.shape[1:3]) == 1
    return issue and narrow and one_position and patches.shape[-1] == 1


def check_groups(groups: int, channels: int, filters: int) -> None:
    if channels % groups or filters % groups:
        raise ShapeError(
            f"{groups} groups divide neither {channels} channels nor {filters} filters"
        )


@dataclass(frozen=True, kw_only=True)
class Windowed2D(Windowed, Image):
    """A kernel that is moved over an image."""

    kernel_size: tuple[Size, Size] = (1, 1)
    strides: tuple[Size, Size] = (1, 1)
    padding: Literal["valid", "same"] | tuple[Extent, Extent] = "valid"
    dilation: tuple[Size, Size] = (1, 1)

    @staticmethod
    def draw_windows(choice: Choice, spec: Spec) -> dict[str, Any]:
        h, w, _ = spec.shape
        if choice.integer(0, 3) == 3:  # over all of the image, as at the end of many networks
            return {"kernel_size": (h, w), "use_bias": not choice.boolean()}
        stride = draw_stride(choice)
        kernel = (choice.integer(1, min(3, h)), choice.integer(1, min(3, w)))
        padding = draw_padding(choice, 2)
        dilation = draw_dilations(choice, (h, w), kernel, stride > 1, padding == "same")
        return {
            "kernel_size": kernel,
            "strides": (stride, stride),
            "padding": padding,
            "dilation": (dilation[0], dilation[1]),
            "use_bias": not choice.boolean(),
            "padding_mode": draw_padding_mode(choice, (h, w), padding, stride > 1),
        }


@dataclass(frozen=True, kw_only=True)
class Windowed1D(Windowed, Series):
    """A kernel that is moved along a sequence."""

    kernel_size: Size = 1
    strides: Size = 1
    padding: Literal["valid", "same", "causal"] | Extent = "valid"
    dilation: Size = 1

    @staticmethod
    def draw_windows(choice: Choice, spec: Spec, rules: Sequence[str]) -> dict[str, Any]:
        """rules: the names of the paddings to draw from."""
        time = spec.shape[0]
        stride = draw_stride(choice)
        kernel = choice.integer(1, min(3, time))
        sized = (1, 2) if True in choice.offered("sized_padding") else ()
        paddings: tuple[Any, ...] = (*rules, *sized)
        padding = choice.one_of(paddings)
        by_rule = padding in ("same", "causal")
        (dilation,) = draw_dilations(choice, (time,), (kernel,), stride > 1, by_rule)
        return {
            "kernel_size": kernel,
            "strides": stride,
            "padding": padding,
            "dilation": dilation,
            "use_bias": not choice.boolean(),
            "padding_mode": draw_padding_mode(choice, (time,), padding, stride > 1),
        }

    def over_images(self, x: Value, kernel: Value) -> tuple[Value, Value, Pair, Pair]:
        """As they are over images of one column."""
        size, *channels = kernel.shape
        return (
            as_image(x),
            kernel.reshape(size, 1, *channels),
            (self.strides, 1),
            (self.dilation, 1),
        )

    def of_images(self, y: Value) -> Value:
        return as_series(y)


@dataclass(frozen=True, kw_only=True)
class Convolution(Windowed):
    """Cross-correlation with a kernel of shape (*kernel_size, C / groups, filters)."""

    filters: Size = 1
    groups: Size = 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_groups(self.groups, spec.shape[-1], self.filters)
        return Spec((*self.spatial(spec), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = (*each(self.kernel_size), specs[0].shape[-1] // self.groups, self.filters)
        kernel = Parameter("kernel", shape)
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def correlated(self, call: Call, x: Value, kernel: Value) -> Value:
        """The products of a padded value, without the bias."""
        x, kernel, strides, dilation = self.over_images(x, kernel)
        return self.of_images(convolved(call, x, kernel, self.groups, strides, dilation))

    def forward(self, call: Call, *xs: Value) -> Value:
        x, kernel = self.padded(xs[0]), call.parameter("kernel")
        return self.with_bias(call, self.correlated(call, x, kernel))


@dataclass(frozen=True, kw_only=True)
class Conv2D(Windowed2D, Convolution):
    """Convolution of images, (H, W, C) -> (OH, OW, filters)."""

    kind: Literal["conv2d"] = "conv2d"
    frequency: ClassVar[int] = 18

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv2D:
        groups = choice.one_of([g for g in (1, 2, 3) if specs[0].shape[2] % g == 0])
        drawn = cls(
            filters=groups * choice.integer(1, 2 if groups > 1 else 3),
            groups=groups,
            **cls.draw_windows(choice, specs[0]),
        )
        by_itself = drawn.padding == "same" and drawn.padding_mode != "zeros"
        if max(drawn.dilation) > 1 or by_itself or choice.integer(0, 5) < 5:
            return drawn
        return replace(drawn, strides=choice.one_of(((1, 2), (2, 1), (1, 3), (3, 2))))


@dataclass(frozen=True, kw_only=True)
class Conv1D(Windowed1D, Convolution):
    """Convolution in time, (T, F) -> (OT, filters)."""

    kind: Literal["conv1d"] = "conv1d"
    frequency: ClassVar[int] = 5

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv1D:
        groups = choice.one_of([g for g in (1, 2, 3) if specs[0].shape[1] % g == 0])
        return cls(
            filters=groups * choice.integer(1, 2 if groups > 1 else 3),
            groups=groups,
            **cls.draw_windows(choice, specs[0], ("valid", "same", "causal")),
        )


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Conv2D, Conv1D)
