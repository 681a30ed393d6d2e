"""Transposed convolution over images and sequences: the adjoint of a convolution in its input.

Every element of the input puts its multiple of the kernel into the result, `strides` apart, where
they add up (Zeiler et al. 2010, "Deconvolutional networks"; Dumoulin & Visin, arXiv 1603.07285).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from invariants.architecture.layers.convolution import (
    Image,
    Series,
    as_image,
    as_series,
    check_groups,
)
from invariants.architecture.layers.windowed import needs_of
from invariants.oracle.primitives import Pair
from invariants.oracle.tape import Value


def extent_of(
    extent: int, kernel: int, stride: int, dilation: int, padding: str, extra: int = 0
) -> int:
    """How long the result is, as Keras has it, with `extra` elements at the end.

    Those are met by no input, and where the kernel reaches less far than a stride nor are its last.
    """
    reach = (kernel - 1) * dilation + 1
    return extent * stride + (max(reach - stride, 0) if padding == "valid" else 0) + extra


def draw_extra(choice: Choice, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Elements at the end that no input meets: fewer than a stride, which the kernel reaches."""
    fits = padding == "valid" and stride > 1 and (kernel - 1) * dilation + 1 >= stride
    return 1 if fits and choice.boolean() else 0


def check_extra(extra: int, kernel: int, stride: int, dilation: int, padding: str) -> None:
    """Raises ShapeError where there cannot be so many further elements."""
    reach = (kernel - 1) * dilation + 1
    if extra and (padding != "valid" or extra >= stride or reach < stride):
        raise ShapeError(f"{extra} further elements do not fit a stride of {stride}")


def cropped(kernel: int, stride: int, dilation: int, padding: str) -> Pair:
    """How many elements "same" takes off before and after: those that a convolution pads."""
    total = max((kernel - 1) * dilation + 1 - stride, 0) if padding == "same" else 0
    return total // 2, total - total // 2


def draw_dilation(choice: Choice, strided: bool) -> tuple[int, ...]:
    """What a dilation is drawn from: beyond 1 only where that is offered."""
    offered = True in choice.offered("dilated_transposed") and (
        not strided or True in choice.offered("dilated_strides")
    )
    return (1, 1, 1, 2, 3) if offered else (1,)


def needs_of_transposed(
    strides: Sequence[int], dilation: Sequence[int], groups: int
) -> Mapping[str, Any]:
    """What a backend must offer for these strides together with this dilation, and for groups."""
    dilated = {"dilated_transposed": True} if max(dilation) > 1 else {}
    grouped = {"transposed_groups": True} if groups > 1 else {}
    return {**dilated, **grouped, **needs_of(strides, dilation)}


def draw_groups(choice: Choice, channels: int) -> int:
    """1, or another divisor of the channels where groups are offered."""
    if True not in choice.offered("transposed_groups"):
        return 1
    return choice.one_of([1, *(g for g in (1, 2, 3) if channels % g == 0)])


def transposed(
    x: Value,
    kernel: Value,
    groups: int,
    strides: Pair,
    dilation: Pair,
    padding: tuple[str, str],
    extra: Pair,
) -> Value:
    """(N, H, W, C) with a kernel (KH, KW, filters / groups, C) -> (N, OH, OW, filters)."""
    if groups > 1:
        size = x.shape[-1] // groups
        parts = [
            tuple(v.apply("slice", start=g * size, stop=(g + 1) * size) for v in (x, kernel))
            for g in range(groups)
        ]
        results = [transposed(a, k, 1, strides, dilation, padding, extra) for a, k in parts]
        return x.tape.apply("concatenate", *results)
    kh, kw, filters, channels = kernel.shape
    weight = kernel.apply("permute", axes=(3, 0, 1, 2)).reshape(channels, kh * kw * filters)
    columns = (x @ weight).reshape(*x.shape[:3], kh * kw, filters)
    extents = list(zip(x.shape[1:3], (kh, kw), strides, dilation, padding, strict=True))
    crops = [cropped(*extent[1:]) for extent in extents]
    full = tuple(
        extent_of(*e) + sum(crop) + more
        for e, crop, more in zip(extents, crops, extra, strict=True)
    )
    y = columns.apply("overlap", size=full, kernel=(kh, kw), strides=strides, dilation=dilation)
    for axis, extent, (before, after) in zip((-3, -2), full, crops, strict=True):
        if before + after:
            y = y.apply("slice", start=before, stop=extent - after, axis=axis)
    return y


@dataclass(frozen=True, kw_only=True)
class Transposed(Layer):
    """What those over several axes have in common: (..., C) -> (..., filters).

    The kernel has the shape (*kernel_size, filters / groups, C). extra: further elements at the
    end of each axis, which no input meets.
    """

    filters: Size = 1
    kernel_size: tuple[Size, ...] = ()
    strides: tuple[Size, ...] = ()
    padding: Literal["valid", "same"] = "valid"
    dilation: tuple[Size, ...] = ()
    groups: Size = 1
    extra: tuple[Extent, ...] = ()
    use_bias: bool = True

    @classmethod
    def draw_windows(cls, choice: Choice, spec: Spec, larger: Sequence[int]) -> dict[str, Any]:
        """larger: what a stride and a size of the kernel are drawn from, the simplest first."""
        axes = range(spec.rank - 1)
        strides = tuple(choice.one_of(larger) for _ in axes)
        dilations = draw_dilation(choice, max(strides) > 1)
        groups = draw_groups(choice, spec.shape[-1])
        kernel = tuple(choice.one_of(larger) for _ in axes)
        padding = choice.one_of(("valid", "same"))
        dilation = tuple(choice.one_of(dilations) for _ in axes)
        axis = zip(kernel, strides, dilation, strict=True)
        return {
            "filters": groups * choice.integer(1, 2),
            "kernel_size": kernel,
            "strides": strides,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "extra": tuple(draw_extra(choice, *a, padding) for a in axis),
            "use_bias": not choice.boolean(),
        }

    def needs(self) -> Mapping[str, Any]:
        return needs_of_transposed(self.strides, self.dilation, self.groups)

    def spatial(self, spec: Spec) -> tuple[int, ...]:
        """The extents of the result."""
        axes = zip(
            spec.shape[:-1], self.kernel_size, self.strides, self.dilation, self.extra, strict=True
        )
        return tuple(extent_of(n, k, s, d, self.padding, extra) for n, k, s, d, extra in axes)

    def crops(self) -> tuple[Pair, ...]:
        """What is taken off before and after on each axis."""
        axes = zip(self.kernel_size, self.strides, self.dilation, strict=True)
        return tuple(cropped(*axis, self.padding) for axis in axes)

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_groups(self.groups, spec.shape[-1], self.filters)
        axes = zip(self.extra, self.kernel_size, self.strides, self.dilation, strict=True)
        for extra, kernel, stride, dilation in axes:
            check_extra(extra, kernel, stride, dilation, self.padding)
        return Spec((*self.spatial(spec), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        filters = self.filters // self.groups
        kernel = Parameter("kernel", (*self.kernel_size, filters, specs[0].shape[-1]))
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def with_bias(self, call: Call, y: Value) -> Value:
        return y + call.parameter("bias") if self.use_bias else y


@dataclass(frozen=True, kw_only=True)
class Conv2DTranspose(Transposed, Image):
    """(H, W, C) -> (OH, OW, filters), the kernel of shape (KH, KW, filters / groups, C)."""

    kind: Literal["conv2d_transpose"] = "conv2d_transpose"
    frequency: ClassVar[int] = 3
    kernel_size: tuple[Size, Size] = (1, 1)
    strides: tuple[Size, Size] = (1, 1)
    dilation: tuple[Size, Size] = (1, 1)
    extra: tuple[Extent, Extent] = (0, 0)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv2DTranspose:
        return cls(**cls.draw_windows(choice, specs[0], (1, 2, 3)))

    def forward(self, call: Call, *xs: Value) -> Value:
        padding = (self.padding, self.padding)
        kernel = call.parameter("kernel")
        y = transposed(xs[0], kernel, self.groups, self.strides, self.dilation, padding, self.extra)
        return self.with_bias(call, y)


@dataclass(frozen=True, kw_only=True)
class Conv1DTranspose(Series):
    """(T, F) -> (OT, filters), the kernel of shape (K, filters / groups, F)."""

    kind: Literal["conv1d_transpose"] = "conv1d_transpose"
    frequency: ClassVar[int] = 3
    filters: Size = 1
    kernel_size: Size = 1
    strides: Size = 1
    padding: Literal["valid", "same"] = "valid"
    dilation: Size = 1
    groups: Size = 1
    extra: Extent = 0
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv1DTranspose:
        stride, kernel = choice.integer(1, 3), choice.integer(1, 3)
        groups = draw_groups(choice, specs[0].shape[1])
        padding: Literal["valid", "same"] = choice.one_of(("valid", "same"))
        dilation = choice.one_of(draw_dilation(choice, stride > 1))
        return cls(
            filters=groups * choice.integer(1, 2),
            kernel_size=kernel,
            strides=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            extra=draw_extra(choice, kernel, stride, dilation, padding),
            use_bias=not choice.boolean(),
        )

    def needs(self) -> Mapping[str, Any]:
        return needs_of_transposed((self.strides,), (self.dilation,), self.groups)

    def extent(self, time: int) -> int:
        """How many steps the result has."""
        axis = (time, self.kernel_size, self.strides, self.dilation)
        return extent_of(*axis, self.padding, self.extra)

    def crop(self) -> Pair:
        """What is taken off before and after."""
        return cropped(self.kernel_size, self.strides, self.dilation, self.padding)

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        check_groups(self.groups, features, self.filters)
        check_extra(self.extra, self.kernel_size, self.strides, self.dilation, self.padding)
        return Spec((self.extent(time), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        filters = self.filters // self.groups
        kernel = Parameter("kernel", (self.kernel_size, filters, specs[0].shape[1]))
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        k, filters, features = call.parameter("kernel").shape
        kernel = call.parameter("kernel").reshape(k, 1, filters, features)
        strides, dilation = (self.strides, 1), (self.dilation, 1)
        y = transposed(
            as_image(xs[0]),
            kernel,
            self.groups,
            strides,
            dilation,
            (self.padding, "valid"),
            (self.extra, 0),
        )
        return as_series(y) + call.parameter("bias") if self.use_bias else as_series(y)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Conv2DTranspose, Conv1DTranspose)
