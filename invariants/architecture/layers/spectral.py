"""Spectral normalisation: a kernel over its largest singular value (arXiv 1802.05957)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.convolution import Windowed2D, convolved
from invariants.architecture.layers.dense import OnTheLastAxis
from invariants.oracle.tape import Value

#: How many steps of the power iteration a call in training mode takes.
Iterations = Annotated[int, Field(ge=1, le=10)]


def vectors(window: tuple[int, ...], units: int) -> tuple[Parameter, Parameter]:
    """The singular vectors of a kernel (*window, units) as they are known so far."""
    return (
        Parameter("vector_u", (units,), role="state", initial="scale"),
        Parameter("vector_v", window, role="state", initial="scale"),
    )


def drawn_iterations(choice: Choice) -> int:
    """One for the most part, which is what both frameworks take by default."""
    return choice.one_of((1, 1, 2, 3))


def unit(x: Value) -> Value:
    """x / |x| of a vector."""
    return x / x.apply("square").sum(-1, keepdims=True).apply("sqrt")


def cut(x: Value) -> Value:
    """`x` as a constant: no gradient flows back through it."""
    return x.tape.constant(x.data)


def normalised(call: Call, iterations: int) -> Value:
    """kernel / σ with σ = vᵀ K u, K the kernel as a matrix (inputs, units).

    In training mode steps of the power iteration come first, u ← K ᵀv / |Kᵀv| and
    v ← K u / |K u|, a frozen kernel's too. u and v are constants to the chain rule, σ is not.
    """
    kernel = call.parameter("kernel")
    units = kernel.shape[-1]
    matrix = kernel.reshape(kernel.data[0].size // units, units)
    u, v = call.parameter("vector_u"), call.parameter("vector_v")
    if call.training:
        constant, window = cut(matrix), v.shape
        transposed = constant.apply("transpose", axes=(1, 0))
        for _ in range(iterations):
            u = cut(unit((v.reshape(1, matrix.shape[0]) @ constant).reshape(units)))
            v = cut(unit((u.reshape(1, units) @ transposed).reshape(matrix.shape[0])))
        v = v.reshape(*window)
        call.set_state("vector_u", u)
        call.set_state("vector_v", v)
    along = v.reshape(1, matrix.shape[0]) @ matrix
    sigma = (along @ u.reshape(units, 1)).reshape(*(1 for _ in kernel.shape))
    return kernel / sigma


@dataclass(frozen=True, kw_only=True)
class NormalisedDense(OnTheLastAxis):
    """What dense layers with a normalised kernel have in common."""

    iterations: Iterations = 1
    reads_its_state: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> NormalisedDense:
        return cls(
            kind=cls.kind_of(),
            units=choice.integer(1, 5),
            use_bias=not choice.boolean(),
            iterations=drawn_iterations(choice),
        )

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """One number over its size is its sign."""
        return specs[0].shape[-1] > 1

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        inputs = specs[0].shape[-1]
        weights = (
            # Around 1, for σ is never 0.
            Parameter("kernel", (inputs, self.units), initial="scale"),
            Parameter("bias", (self.units,), group="bias"),
        )
        return (*weights[: 1 + self.use_bias], *self.vectors(inputs))

    def vectors(self, inputs: int) -> tuple[Parameter, ...]:
        return vectors((inputs,), self.units)


@dataclass(frozen=True, kw_only=True)
class SpectralNormDense(NormalisedDense):
    """y = x @ (kernel / σ(kernel)) + bias over the last axis."""

    kind: Literal["spectral_norm_dense"] = "spectral_norm_dense"

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.with_bias(call, xs[0] @ normalised(call, self.iterations))


@dataclass(frozen=True, kw_only=True)
class NormalisedConv2D(Windowed2D):
    """What convolutions with a normalised kernel (KH, KW, C, filters) have in common."""

    frequency: ClassVar[int] = 4
    reads_its_state: ClassVar[bool] = True
    filters: Size = 1
    iterations: Iterations = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> NormalisedConv2D:
        # Two filters or more: one number over its size is its sign.
        drawn = {"filters": choice.integer(2, 3), **cls.draw_windows(choice, specs[0])}
        return cls(kind=cls.kind_of(), iterations=drawn_iterations(choice), **drawn)

    def output(self, specs: Sequence[Spec]) -> Spec:
        return Spec((*self.spatial(super().output(specs)), self.filters))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        window = (*self.kernel_size, specs[0].shape[2])
        weights = (
            Parameter("kernel", (*window, self.filters), initial="scale"),
            Parameter("bias", (self.filters,), group="bias"),
        )
        return (*weights[: 1 + self.use_bias], *self.vectors(window))

    def vectors(self, window: tuple[int, ...]) -> tuple[Parameter, ...]:
        return vectors(window, self.filters)


@dataclass(frozen=True, kw_only=True)
class SpectralNormConv2D(NormalisedConv2D):
    """Cross-correlation with kernel / σ(kernel)."""

    kind: Literal["spectral_norm_conv2d"] = "spectral_norm_conv2d"

    def forward(self, call: Call, *xs: Value) -> Value:
        x = self.padded(xs[0])
        kernel = normalised(call, self.iterations)
        y = convolved(call, x, kernel, 1, self.strides, self.dilation)
        return self.with_bias(call, y)


class Rewriting(Layer):
    """Keras's wrapper around a layer with a kernel, which keeps the normalised kernel for good.

    In training mode kernel ← kernel / σ before the layer is called, σ = v K uᵀ after steps of the
    power iteration, v ← u Kᵀ / |u Kᵀ| and u ← v K / |v K|, K being the kernel as a matrix
    (inputs, units). The gradient is that of the kernel as it was assigned: σ counts as a constant.
    Whether a frozen kernel is rewritten is the contract's.
    """

    def rewrites(
        self, training: bool, frozen_weights: frozenset[str], contract: Any
    ) -> tuple[str, ...]:
        rewritten = contract["spectral_kernel_rewritten"]
        kept = rewritten == "never" or (rewritten == "unless_frozen" and "kernel" in frozen_weights)
        return ("kernel",) if training and not kept else ()

    def rewritten(self, call: Call, iterations: int) -> Value:
        """The kernel that the layer is called with."""
        if self.rewrites(call.training, call.frozen_weights, call.contract):
            kernel = cut(call.parameter("kernel"))
            units = kernel.shape[-1]
            inputs = kernel.data[0].size // units
            matrix = kernel.reshape(inputs, units)
            u = call.parameter("vector_u").reshape(1, units)
            transposed = matrix.apply("transpose", axes=(1, 0))
            for _ in range(iterations):
                v = cut(unit((u @ transposed).reshape(inputs))).reshape(1, inputs)
                u = cut(unit((v @ matrix).reshape(units))).reshape(1, units)
            sigma = v @ matrix @ u.reshape(units, 1)
            call.set_state("vector_u", u.reshape(units))
            call.set_state("kernel", cut(kernel / sigma.reshape(*(1 for _ in kernel.shape))))
        return call.parameter("kernel")


@dataclass(frozen=True, kw_only=True)
class SpectralNormalizationDense(Rewriting, NormalisedDense):
    """The wrapper around a dense layer."""

    kind: Literal["spectral_normalization_dense"] = "spectral_normalization_dense"

    def vectors(self, inputs: int) -> tuple[Parameter, ...]:
        return super().vectors(inputs)[:1]

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.with_bias(call, xs[0] @ self.rewritten(call, self.iterations))


@dataclass(frozen=True, kw_only=True)
class SpectralNormalizationConv2D(Rewriting, NormalisedConv2D):
    """The wrapper around a convolution over images."""

    kind: Literal["spectral_normalization_conv2d"] = "spectral_normalization_conv2d"

    def vectors(self, window: tuple[int, ...]) -> tuple[Parameter, ...]:
        return super().vectors(window)[:1]

    def forward(self, call: Call, *xs: Value) -> Value:
        x, kernel = self.padded(xs[0]), self.rewritten(call, self.iterations)
        return self.with_bias(call, convolved(call, x, kernel, 1, self.strides, self.dilation))


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    SpectralNormDense,
    SpectralNormConv2D,
    SpectralNormalizationDense,
    SpectralNormalizationConv2D,
)
