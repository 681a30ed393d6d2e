"""Layers over volumes, (D, H, W, C): convolution and pooling over all positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Extent,
    Layer,
    Size,
    Spec,
)
from invariants.architecture.layers.convolution import Convolution, grouped_products
from invariants.architecture.layers.transposed import Transposed
from invariants.architecture.layers.windowed import (
    draw_dilations,
    draw_padding,
    draw_padding_mode,
)
from invariants.oracle.tape import Value

Triple = tuple[int, int, int]
Sizes = tuple[Size, Size, Size]


class Volume(Layer):
    """What layers over volumes have in common."""

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 4


def volume_patches(x: Value, kernel: Triple, strides: Triple, dilation: Triple) -> Value:
    """(N, D, H, W, C) -> (N, OD, OH, OW, KD·KH·KW, C): windows in depth, then in each slice."""
    n, d, h, w, c = x.shape
    (kd, *plane), (sd, *steps), (dd, *apart) = kernel, strides, dilation
    columns = x.reshape(n, d, 1, h * w * c).apply(
        "patches", kernel=(kd, 1), strides=(sd, 1), dilation=(dd, 1)
    )
    od = columns.shape[1]
    slices = columns.reshape(n * od * kd, h, w, c).apply(
        "patches", kernel=tuple(plane), strides=tuple(steps), dilation=tuple(apart)
    )
    _, oh, ow, taps, _ = slices.shape
    apart_in_depth = slices.reshape(n, od, kd, oh, ow, taps, c)
    return apart_in_depth.apply("transpose", axes=(0, 1, 3, 4, 2, 5, 6)).reshape(
        n, od, oh, ow, kd * taps, c
    )


def volume_overlap(
    x: Value, kernel: Value, size: tuple[int, ...], strides: Triple, dilation: Triple
) -> Value:
    """What every element puts into a volume of `size`, added up: in each slice, then in depth.

    (N, D, H, W, C) with a kernel (KD, KH, KW, filters, C) -> (N, *size, filters).
    """
    (n, d, h, w, c), (kd, kh, kw, filters, _) = x.shape, kernel.shape
    weight = kernel.apply("permute", axes=(4, 0, 1, 2, 3)).reshape(c, kd * kh * kw * filters)
    columns = (x @ weight).reshape(n, d, h, w, kd, kh * kw, filters)
    slices = columns.apply("transpose", axes=(0, 1, 4, 2, 3, 5, 6)).reshape(
        n * d * kd, h, w, kh * kw, filters
    )
    (sd, *steps), (dd, *apart) = strides, dilation
    planes = slices.apply(
        "overlap", size=size[1:], kernel=(kh, kw), strides=tuple(steps), dilation=tuple(apart)
    )
    area = size[1] * size[2] * filters
    y = planes.reshape(n, d, 1, kd, area).apply(
        "overlap", size=(size[0], 1), kernel=(kd, 1), strides=(sd, 1), dilation=(dd, 1)
    )
    return y.reshape(n, *size, filters)


@dataclass(frozen=True, kw_only=True)
class Conv3D(Convolution, Volume):
    """(D, H, W, C) -> (OD, OH, OW, filters) (Tran et al. 2014, arXiv 1412.0767)."""

    kind: Literal["conv3d"] = "conv3d"
    frequency: ClassVar[int] = 12
    kernel_size: Sizes = (1, 1, 1)
    strides: Sizes = (1, 1, 1)
    padding: Literal["valid", "same"] | tuple[Extent, Extent, Extent] = "valid"
    dilation: Sizes = (1, 1, 1)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv3D:
        *extents, channels = specs[0].shape
        groups = choice.one_of([g for g in (1, 2, 3) if channels % g == 0])
        kernel = [choice.integer(1, min(3, n)) for n in extents]
        strides = [choice.one_of((1, 1, 2, 3)) for _ in extents]
        padding = draw_padding(choice, 3)
        dilation = draw_dilations(choice, extents, kernel, max(strides) > 1, padding == "same")
        return cls(
            filters=groups * choice.integer(1, 2),
            kernel_size=(kernel[0], kernel[1], kernel[2]),
            strides=(strides[0], strides[1], strides[2]),
            padding=padding,
            dilation=(dilation[0], dilation[1], dilation[2]),
            groups=groups,
            use_bias=not choice.boolean(),
            padding_mode=draw_padding_mode(choice, extents, padding, max(strides) > 1),
        )

    def correlated(self, call: Call, x: Value, kernel: Value) -> Value:
        y, windows = self._windows(x, kernel), call.contract["conv3d_windows"]
        late = () if windows == "from_the_start" else self._left_over(x)
        if not any(late):
            return y
        if windows == "unknown":  # elements among them that the documented windows do not meet
            return self._windows(x.apply("unjudged"), kernel) * float("nan")
        inner = x
        for axis, count in zip((-4, -3, -2), late, strict=True):
            inner = inner.apply("slice", start=count, stop=x.shape[axis], axis=axis)
        # What comes out is that of other windows, what goes back that of these.
        return y + x.tape.constant(self._windows(inner, kernel).data - y.data)

    def _windows(self, x: Value, kernel: Value) -> Value:
        patches = volume_patches(x, self.kernel_size, self.strides, self.dilation)
        return grouped_products(patches, kernel, self.groups)

    def _left_over(self, x: Value) -> tuple[int, ...]:
        """Half of what the windows of padding "same" leave over at the end of each axis."""
        if self.padding != "same":
            return (0, 0, 0)
        axes = zip(x.shape[1:], self.axes, strict=False)
        reaches = ((n, (k - 1) * d + 1, s) for n, (k, s, d) in axes)
        return tuple((n - reach) % s // 2 for n, reach, s in reaches)


@dataclass(frozen=True, kw_only=True)
class Conv3DTranspose(Transposed, Volume):
    """(D, H, W, C) -> (OD, OH, OW, filters), the kernel (KD, KH, KW, filters / groups, C)."""

    kind: Literal["conv3d_transpose"] = "conv3d_transpose"
    frequency: ClassVar[int] = 4
    kernel_size: Sizes = (1, 1, 1)
    strides: Sizes = (1, 1, 1)
    dilation: Sizes = (1, 1, 1)
    padding: Literal["valid", "same"] | tuple[Extent, Extent, Extent] = "valid"
    extra: tuple[Extent, Extent, Extent] = (0, 0, 0)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv3DTranspose:
        return cls(**cls.draw_windows(choice, specs[0], (1, 1, 2)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,), kernel = xs, call.parameter("kernel")
        spec, crops = Spec(x.shape[1:]), self.crops()
        size = tuple(n + sum(crop) for n, crop in zip(self.spatial(spec), crops, strict=True))
        channels = spec.shape[3] // self.groups
        parts = []
        for group in range(self.groups):
            of = {"start": group * channels, "stop": (group + 1) * channels}
            inputs, weight = (
                (x, kernel) if self.groups == 1 else (v.apply("slice", **of) for v in (x, kernel))
            )
            parts.append(volume_overlap(inputs, weight, size, self.strides, self.dilation))
        y = parts[0] if self.groups == 1 else x.tape.apply("concatenate", *parts)
        for axis, extent, (before, after) in zip((-4, -3, -2), size, crops, strict=True):
            if before + after:
                y = y.apply("slice", start=before, stop=extent - after, axis=axis)
        return self.with_bias(call, y)


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool3D(Volume):
    """The mean over all positions: (D, H, W, C) -> (C,)."""

    kind: Literal["global_avg_pool3d"] = "global_avg_pool3d"
    frequency: ClassVar[int] = 2

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[3:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].mean((-4, -3, -2))


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool3D(Volume):
    """The largest over all positions, (D, H, W, C) -> (C,); how equal ones share is contracted."""

    kind: Literal["global_max_pool3d"] = "global_max_pool3d"
    frequency: ClassVar[int] = 2

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[3:])

    def forward(self, call: Call, *xs: Value) -> Value:
        n, d, h, w, c = xs[0].shape
        return xs[0].reshape(n, d * h * w, c).apply("max", tie=call.contract["global_max_tie"])


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    Conv3D,
    Conv3DTranspose,
    GlobalAvgPool3D,
    GlobalMaxPool3D,
)
