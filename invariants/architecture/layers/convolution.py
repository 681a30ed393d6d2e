"""Convolution over images, (H, W, C) -> (OH, OW, C'), and over sequences, (T, F) -> (OT, F')."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from invariants.oracle.primitives import Pair, windows
from invariants.oracle.tape import Value


def same_padding(extent: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Zeros before and after, so that ceil(extent / stride) windows fit.

    TensorFlow's rule, https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2; the odd
    zero goes after. torch's padding="same" gives the same for stride 1, the only one it takes.
    """
    reach = (kernel - 1) * dilation + 1
    total = max((-(-extent // stride) - 1) * stride + reach - extent, 0)
    return total // 2, total - total // 2


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


def draw_dilations(
    choice: Choice, extents: Sequence[int], kernel: Sequence[int], strided: bool, padded: bool
) -> list[int]:
    """1 or 2 for each axis, so that the windows fit; with strides only where that is offered."""
    if strided and True not in choice.offered("dilated_strides"):
        return [1] * len(kernel)
    return [
        choice.one_of((1, 1, 2)) if k > 1 and (padded or 2 * k - 1 <= n) else 1
        for n, k in zip(extents, kernel, strict=True)
    ]


def draw_padding(choice: Choice, axes: int) -> Any:
    """ "valid", "same" or, where that is offered, zeros on both sides of each axis."""
    sized = ("sized",) if True in choice.offered("sized_padding") else ()
    padding = choice.one_of(("valid", "same", *sized))
    if padding != "sized":
        return padding
    return (choice.integer(1, 2), *(choice.integer(0, 2) for _ in range(axes - 1)))


def needs_of(
    strides: Sequence[int], dilation: Sequence[int], padding: Any = "valid"
) -> Mapping[str, Any]:
    """What a backend must offer for these strides together with this dilation, and for padding."""
    sized = {} if isinstance(padding, str) else {"sized_padding": True}
    dilated = {"dilated_strides": True} if max(strides) > 1 and max(dilation) > 1 else {}
    return {**sized, **dilated}


def padded(x: Value, rows: Pair, columns: Pair) -> Value:
    """(N, H, W, C) with zeros around."""
    if not any(rows + columns):
        return x
    return x.apply("pad", widths=((0, 0), rows, columns, (0, 0)))


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
class Windowed2D(Image):
    """A kernel that is moved over an image.

    padding: a rule, or how many zeros go on both sides of each axis.
    """

    kernel_size: tuple[Size, Size] = (1, 1)
    strides: tuple[Size, Size] = (1, 1)
    padding: Literal["valid", "same"] | tuple[Extent, Extent] = "valid"
    dilation: tuple[Size, Size] = (1, 1)
    use_bias: bool = True

    @staticmethod
    def draw_windows(choice: Choice, spec: Spec) -> dict[str, Any]:
        h, w, _ = spec.shape
        if choice.integer(0, 3) == 3:  # over all of the image, as at the end of many networks
            return {"kernel_size": (h, w), "use_bias": not choice.boolean()}
        stride = choice.integer(1, 2)
        kernel = (choice.integer(1, min(3, h)), choice.integer(1, min(3, w)))
        padding = draw_padding(choice, 2)
        dilation = draw_dilations(choice, (h, w), kernel, stride > 1, padding == "same")
        return {
            "kernel_size": kernel,
            "strides": (stride, stride),
            "padding": padding,
            "dilation": (dilation[0], dilation[1]),
            "use_bias": not choice.boolean(),
        }

    def needs(self) -> Mapping[str, Any]:
        return needs_of(self.strides, self.dilation, self.padding)

    def pads(self, spec: Spec) -> tuple[Pair, Pair]:
        """Zeros before and after each of the two spatial axes."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if not isinstance(self.padding, str):
            height, width = self.padding
            return (height, height), (width, width)
        extents = zip(spec.shape[:2], self.kernel_size, self.strides, self.dilation, strict=True)
        rows, columns = (same_padding(*e) for e in extents)
        return rows, columns

    def spatial(self, spec: Spec) -> Pair:
        """Height and width of the result."""
        extents = zip(
            spec.shape[:2],
            self.pads(spec),
            self.kernel_size,
            self.strides,
            self.dilation,
            strict=True,
        )
        h, w = (windows(n + sum(pads), k, s, d) for n, pads, k, s, d in extents)
        if min(h, w) < 1:
            raise ShapeError(
                f"a kernel of {list(self.kernel_size)} is larger than {describe_image(spec)}"
            )
        return h, w

    def padded(self, x: Value) -> Value:
        return padded(x, *self.pads(Spec(x.shape[1:])))

    def with_bias(self, call: Call, y: Value) -> Value:
        return y + call.parameter("bias") if self.use_bias else y


@dataclass(frozen=True, kw_only=True)
class Conv2D(Windowed2D):
    """Cross-correlation with a kernel of shape (KH, KW, C / groups, filters)."""

    kind: Literal["conv2d"] = "conv2d"
    frequency: ClassVar[int] = 18
    filters: Size = 1
    groups: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv2D:
        groups = choice.one_of([g for g in (1, 2, 3) if specs[0].shape[2] % g == 0])
        drawn = cls(
            filters=groups * choice.integer(1, 2 if groups > 1 else 3),
            groups=groups,
            **cls.draw_windows(choice, specs[0]),
        )
        if max(drawn.dilation) > 1 or choice.integer(0, 5) < 5:
            return drawn
        return replace(drawn, strides=choice.one_of(((1, 2), (2, 1))))

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_groups(self.groups, spec.shape[2], self.filters)
        return Spec((*self.spatial(spec), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = (*self.kernel_size, specs[0].shape[2] // self.groups, self.filters)
        kernel = Parameter("kernel", shape)
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        x, kernel = self.padded(xs[0]), call.parameter("kernel")
        y = convolved(call, x, kernel, self.groups, self.strides, self.dilation)
        return self.with_bias(call, y)


@dataclass(frozen=True, kw_only=True)
class Windowed1D(Series):
    """A kernel that is moved along a sequence.

    padding: a rule, or how many zeros go on both sides. Causal: all zeros go before, so that
    nothing looks ahead (van den Oord et al. 2016, arXiv 1609.03499).
    """

    kernel_size: Size = 1
    strides: Size = 1
    padding: Literal["valid", "same", "causal"] | Extent = "valid"
    dilation: Size = 1
    use_bias: bool = True

    @staticmethod
    def draw_windows(choice: Choice, spec: Spec, rules: Sequence[str]) -> dict[str, Any]:
        """rules: the names of the paddings to draw from."""
        time = spec.shape[0]
        stride = choice.integer(1, 2)
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
        }

    def needs(self) -> Mapping[str, Any]:
        return needs_of((self.strides,), (self.dilation,), self.padding)

    def pads(self, time: int) -> Pair:
        """Zeros before and after."""
        if not isinstance(self.padding, str):
            return self.padding, self.padding
        if self.padding == "causal":
            return (self.kernel_size - 1) * self.dilation, 0
        if self.padding == "valid":
            return 0, 0
        return same_padding(time, self.kernel_size, self.strides, self.dilation)

    def steps(self, spec: Spec) -> int:
        """How many steps the result has."""
        time = spec.shape[0]
        extent = time + sum(self.pads(time))
        count = windows(extent, self.kernel_size, self.strides, self.dilation)
        if count < 1:
            raise ShapeError(f"a kernel of {self.kernel_size} is longer than {time} steps")
        return count

    def padded(self, x: Value) -> Value:
        """(N, T, F) as an image (N, T', 1, F) with zeros around."""
        return padded(as_image(x), self.pads(x.shape[1]), (0, 0))

    def with_bias(self, call: Call, y: Value) -> Value:
        return y + call.parameter("bias") if self.use_bias else y


@dataclass(frozen=True, kw_only=True)
class Conv1D(Windowed1D):
    """Cross-correlation in time with a kernel of shape (K, F / groups, filters)."""

    kind: Literal["conv1d"] = "conv1d"
    frequency: ClassVar[int] = 5
    filters: Size = 1
    groups: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Conv1D:
        groups = choice.one_of([g for g in (1, 2, 3) if specs[0].shape[1] % g == 0])
        return cls(
            filters=groups * choice.integer(1, 2 if groups > 1 else 3),
            groups=groups,
            **cls.draw_windows(choice, specs[0], ("valid", "same", "causal")),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_groups(self.groups, spec.shape[1], self.filters)
        return Spec((self.steps(spec), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        shape = (self.kernel_size, specs[0].shape[1] // self.groups, self.filters)
        kernel = Parameter("kernel", shape)
        bias = Parameter("bias", (self.filters,), group="bias")
        return (kernel, bias) if self.use_bias else (kernel,)

    def forward(self, call: Call, *xs: Value) -> Value:
        k, features, filters = call.parameter("kernel").shape
        kernel = call.parameter("kernel").reshape(k, 1, features, filters)
        x, strides, dilation = self.padded(xs[0]), (self.strides, 1), (self.dilation, 1)
        return self.with_bias(
            call, as_series(convolved(call, x, kernel, self.groups, strides, dilation))
        )


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Conv2D, Conv1D)
