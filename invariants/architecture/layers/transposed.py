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

Padding = Literal["valid", "same"] | Extent


def extent_of(
    extent: int, kernel: int, stride: int, dilation: int, padding: Padding, extra: int = 0
) -> int:
    """How long the result is, with `extra` elements at the end.

    Those are met by no input, unless a number of elements is taken off. By a rule, as Keras has it,
    no input meets the last ones either where the kernel reaches less far than a stride.
    """
    reach = (kernel - 1) * dilation + 1
    if isinstance(padding, int):
        return (extent - 1) * stride + reach - 2 * padding + extra
    return extent * stride + (max(reach - stride, 0) if padding == "valid" else 0) + extra


def _takes_extra(extra: int, kernel: int, stride: int, dilation: int, padding: Padding) -> bool:
    """Fewer than a stride fit; by a rule, only where the kernel reaches that far."""
    reached = padding == "valid" and (kernel - 1) * dilation + 1 >= stride
    return extra < stride and (reached or isinstance(padding, int))


def draw_extra(choice: Choice, kernel: int, stride: int, dilation: int, padding: Padding) -> int:
    """Elements at the end: none, or one where it fits."""
    fits = _takes_extra(1, kernel, stride, dilation, padding)
    return 1 if fits and choice.boolean() else 0


def check_extra(extra: int, kernel: int, stride: int, dilation: int, padding: Padding) -> None:
    """Raises ShapeError where there cannot be so many further elements."""
    if extra and not _takes_extra(extra, kernel, stride, dilation, padding):
        raise ShapeError(f"{extra} further elements do not fit a stride of {stride}")


def draw_taken_off(
    choice: Choice, extents: Sequence[int], kernel: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...] | None:
    """How many elements are taken off both sides of each axis, so that one is left at stride 1."""
    if True not in choice.offered("sized_padding") or choice.integer(0, 2) < 2:
        return None
    axes = zip(extents, kernel, dilation, strict=True)
    return tuple(choice.integer(0, min((n - 1 + (k - 1) * d) // 2, 2)) for n, k, d in axes)


def cropped(kernel: int, stride: int, dilation: int, padding: Padding, extra: int = 0) -> Pair:
    """How many elements are taken off before and after; by "same" those that a convolution pads.

    Of a number that is taken off, `extra` are left at the end.
    """
    if isinstance(padding, int):
        return padding, max(padding - extra, 0)
    total = max((kernel - 1) * dilation + 1 - stride, 0) if padding == "same" else 0
    return total // 2, total - total // 2


def draw_dilation(choice: Choice, strided: bool) -> tuple[int, ...]:
    """What a dilation is drawn from: beyond 1 only where that is offered."""
    offered = True in choice.offered("dilated_transposed") and (
        not strided or True in choice.offered("dilated_strides")
    )
    return (1, 1, 1, 2, 3) if offered else (1,)


def needs_of_transposed(
    strides: Sequence[int], dilation: Sequence[int], groups: int, padding: Any
) -> Mapping[str, Any]:
    """What a backend must offer for strides together with a dilation, for groups, for a padding."""
    sized = {} if isinstance(padding, str) else {"sized_padding": True}
    dilated = {"dilated_transposed": True} if max(dilation) > 1 else {}
    grouped = {"transposed_groups": True} if groups > 1 else {}
    return {**sized, **dilated, **grouped, **needs_of(strides, dilation)}


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
    padding: tuple[Padding, Padding],
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
    axes = list(zip(x.shape[1:3], (kh, kw), strides, dilation, padding, extra, strict=True))
    crops = [cropped(*axis[1:]) for axis in axes]
    full = tuple(extent_of(*axis) + sum(crop) for axis, crop in zip(axes, crops, strict=True))
    y = columns.apply("overlap", size=full, kernel=(kh, kw), strides=strides, dilation=dilation)
    for axis, extent, (before, after) in zip((-3, -2), full, crops, strict=True):
        if before + after:
            y = y.apply("slice", start=before, stop=extent - after, axis=axis)
    return y


def _of_each_axis(padding: Any, count: int) -> tuple[Padding, ...]:
    each: Any = padding if isinstance(padding, tuple) else (padding,) * count
    return tuple(each)


@dataclass(frozen=True, kw_only=True)
class Transposed(Layer):
    """What those over several axes have in common: (..., C) -> (..., filters).

    The kernel has the shape (*kernel_size, filters / groups, C). padding: a rule, or how many
    elements are taken off both sides of each axis. extra: further elements at the end of each axis.
    """

    filters: Size = 1
    kernel_size: tuple[Size, ...] = ()
    strides: tuple[Size, ...] = ()
    padding: Any = "valid"
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
        dilation = tuple(choice.one_of(dilations) for _ in axes)
        rule = choice.one_of(("valid", "same"))
        padding = draw_taken_off(choice, spec.shape[:-1], kernel, dilation) or rule
        axis = zip(kernel, strides, dilation, _of_each_axis(padding, len(axes)), strict=True)
        return {
            "filters": groups * choice.integer(1, 2),
            "kernel_size": kernel,
            "strides": strides,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "extra": tuple(draw_extra(choice, *a) for a in axis),
            "use_bias": not choice.boolean(),
        }

    def needs(self) -> Mapping[str, Any]:
        return needs_of_transposed(self.strides, self.dilation, self.groups, self.padding)

    @property
    def paddings(self) -> tuple[Padding, ...]:
        """That of each axis."""
        return _of_each_axis(self.padding, len(self.kernel_size))

    @property
    def axes(self) -> list[tuple[int, int, int, Padding, int]]:
        """Kernel, stride, dilation, padding and further elements of each axis."""
        sizes = (self.kernel_size, self.strides, self.dilation, self.paddings, self.extra)
        return list(zip(*sizes, strict=True))

    def spatial(self, spec: Spec) -> tuple[int, ...]:
        """The extents of the result."""
        extents = zip(spec.shape, self.axes, strict=False)
        return tuple(extent_of(n, *axis) for n, axis in extents)

    def crops(self) -> tuple[Pair, ...]:
        """What is taken off before and after on each axis."""
        return tuple(cropped(*axis) for axis in self.axes)

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_groups(self.groups, spec.shape[-1], self.filters)
        for kernel, stride, dilation, padding, extra in self.axes:
            check_extra(extra, kernel, stride, dilation, padding)
        spatial = self.spatial(spec)
        if min(spatial) < 1:
            raise ShapeError(f"a padding of {self.padding} leaves nothing of {list(spec.shape)}")
        return Spec((*spatial, self.filters))

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
    padding: Literal["valid", "same"] | tuple[Extent, Extent] = "valid"
    extra: tuple[Extent, Extent] = (0, 0)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv2DTranspose:
        return cls(**cls.draw_windows(choice, specs[0], (1, 2, 3)))

    def forward(self, call: Call, *xs: Value) -> Value:
        kernel, padding = call.parameter("kernel"), (self.paddings[0], self.paddings[1])
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
    padding: Padding = "valid"
    dilation: Size = 1
    groups: Size = 1
    extra: Extent = 0
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv1DTranspose:
        stride, kernel = choice.integer(1, 3), choice.integer(1, 3)
        groups = draw_groups(choice, specs[0].shape[1])
        rule: Padding = choice.one_of(("valid", "same"))
        dilation = choice.one_of(draw_dilation(choice, stride > 1))
        taken_off = draw_taken_off(choice, specs[0].shape[:1], (kernel,), (dilation,))
        padding = taken_off[0] if taken_off else rule
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
        return needs_of_transposed((self.strides,), (self.dilation,), self.groups, self.padding)

    @property
    def axis(self) -> tuple[int, int, int, Padding, int]:
        """Kernel, stride, dilation, padding and further elements in time."""
        return self.kernel_size, self.strides, self.dilation, self.padding, self.extra

    def extent(self, time: int) -> int:
        """How many steps the result has."""
        return extent_of(time, *self.axis)

    def crop(self) -> Pair:
        """What is taken off before and after."""
        return cropped(*self.axis)

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        check_groups(self.groups, features, self.filters)
        check_extra(self.extra, self.kernel_size, self.strides, self.dilation, self.padding)
        if self.extent(time) < 1:
            raise ShapeError(f"a padding of {self.padding} leaves nothing of {time} steps")
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
