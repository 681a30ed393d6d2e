"""Convolution and pooling over images, (H, W, C) -> (OH, OW, C')."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Layer,
    Parameter,
    ShapeError,
    Size,
    Spec,
)
from invariants.oracle.primitives import windows
from invariants.oracle.tape import Value


def same_padding(extent: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that ceil(extent / stride) windows fit.

    TensorFlow's rule, https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2; the odd
    zero goes after. torch's padding="same" gives the same for stride 1, the only one it takes.
    """
    total = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
    return total // 2, total - total // 2


class _Image(Layer):
    """What layers over images have in common."""

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 3


@dataclass(frozen=True, kw_only=True)
class Conv2D(_Image):
    """Cross-correlation with a kernel of shape (KH, KW, C / groups, filters)."""

    kind: Literal["conv2d"] = "conv2d"
    frequency: ClassVar[int] = 18
    filters: Size = 1
    kernel_size: tuple[Size, Size] = (1, 1)
    strides: tuple[Size, Size] = (1, 1)
    padding: Literal["valid", "same"] = "valid"
    groups: Size = 1
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv2D:
        h, w, c = specs[0].shape
        groups = choice.one_of([g for g in (1, 2, 3) if c % g == 0])
        stride = choice.integer(1, 2)
        return cls(
            filters=groups * choice.integer(1, 2 if groups > 1 else 3),
            kernel_size=(choice.integer(1, min(3, h)), choice.integer(1, min(3, w))),
            strides=(stride, stride),
            padding=choice.one_of(("valid", "same")),
            groups=groups,
            use_bias=not choice.boolean(),
        )

    def pads(self, spec: Spec) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros before and after each of the two spatial axes."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        extents = zip(spec.shape[:2], self.kernel_size, self.strides, strict=True)
        rows, columns = (same_padding(*e) for e in extents)
        return rows, columns

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        if spec.shape[2] % self.groups or self.filters % self.groups:
            raise ShapeError(
                f"{self.groups} groups divide neither {spec.shape[2]} channels nor "
                f"{self.filters} filters"
            )
        extents = zip(spec.shape[:2], self.pads(spec), self.kernel_size, self.strides, strict=True)
        spatial = tuple(windows(n + sum(pads), k, s) for n, pads, k, s in extents)
        if min(spatial) < 1:
            raise ShapeError(
                f"a kernel of {list(self.kernel_size)} is larger than {describe_image(spec)}"
            )
        return Spec((*spatial, self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = (*self.kernel_size, specs[0].shape[2] // self.groups, self.filters)
        kernel = Parameter("kernel", shape)
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        rows, columns = self.pads(Spec(x.shape[1:]))
        if any(rows + columns):
            x = x.apply("pad", widths=((0, 0), rows, columns, (0, 0)))
        kernel = call.parameter("kernel")
        channels = x.shape[-1] // self.groups
        filters = self.filters // self.groups
        patches = x.apply("patches", kernel=self.kernel_size, strides=self.strides)
        parts = []
        for group in range(self.groups):
            window = patches
            weight = kernel
            if self.groups > 1:
                start = group * channels
                window = patches.apply("slice", start=start, stop=start + channels)
                weight = kernel.apply("slice", start=group * filters, stop=(group + 1) * filters)
            terms = window.shape[-1] * window.shape[-2]
            part = window.reshape(*window.shape[:3], terms) @ weight.reshape(terms, filters)
            parts.append(part)
        y = parts[0] if len(parts) == 1 else x.tape.apply("concatenate", *parts)
        return y + call.parameter("bias") if self.use_bias else y


def describe_image(spec: Spec) -> str:
    return f"an image of {spec.shape[0]} by {spec.shape[1]}"


@dataclass(frozen=True, kw_only=True)
class _Pool2D(_Image):
    pool_size: tuple[Size, Size] = (2, 2)
    strides: tuple[Size, Size] = (2, 2)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _Pool2D:
        h, w, _ = specs[0].shape
        size = (choice.integer(1, min(2, h)), choice.integer(1, min(2, w)))
        return cls(kind=cls.kind, pool_size=size, strides=choice.one_of((size, (1, 1))))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        extents = zip(spec.shape[:2], self.pool_size, self.strides, strict=True)
        spatial = tuple(windows(*e) for e in extents)
        if min(spatial) < 1:
            raise ShapeError(
                f"a pool of {list(self.pool_size)} is larger than {describe_image(spec)}"
            )
        return Spec((*spatial, spec.shape[2]))

    def windows_of(self, x: Value) -> Value:
        return x.apply("patches", kernel=self.pool_size, strides=self.strides)


@dataclass(frozen=True, kw_only=True)
class MaxPool2D(_Pool2D):
    """The largest of each window; of equal ones the first takes the gradient."""

    kind: Literal["max_pool2d"] = "max_pool2d"
    frequency: ClassVar[int] = 3
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.windows_of(xs[0]).apply("max", tie=call.contract["max_pool_tie"])


@dataclass(frozen=True, kw_only=True)
class AvgPool2D(_Pool2D):
    """The mean of each window."""

    kind: Literal["avg_pool2d"] = "avg_pool2d"

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.windows_of(xs[0]).mean(-2)


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool2D(_Image):
    """The mean over all positions: (H, W, C) -> (C,)."""

    kind: Literal["global_avg_pool2d"] = "global_avg_pool2d"

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec(super().output(specs).shape[2:])

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0].mean((-3, -2))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Conv2D, MaxPool2D, AvgPool2D, GlobalAvgPool2D)
