"""Activations: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import with_gradient_of

_ROWS = {
    "tanh_derivative": Row(
        "The derivative of tanh is 1 - |tanh x| instead of 1 - tanh² x.",
        ("torch.nn.Tanh.forward",),
    ),
    "relu_leaks": Row("relu lets 1% of the gradient pass below 0.", ("torch.nn.functional.relu",)),
    "gelu_approximate_derivative": Row(
        "The exact gelu has the derivative of its tanh approximation.",
        ("torch.nn.functional.gelu",),
    ),
    "softmax_diagonal": Row(
        "The derivative of softmax is the diagonal of its Jacobian alone.",
        ("torch.nn.functional.softmax",),
    ),
    "mish_drifts": Row(
        "The derivative of mish is 1.00001 times what it is.", ("torch.nn.functional.mish",)
    ),
    "hardtanh_passes_beyond": Row(
        "hardtanh lets the gradient pass beyond its ends.", ("torch.nn.functional.hardtanh",)
    ),
    "prelu_slope_drifts": Row(
        "The gradient of the slope of prelu is 1.00001 times what it is.",
        ("torch.nn.functional.prelu",),
    ),
}


def tanh_derivative(forward: Any) -> Any:
    def wrong(self: Any, x: Any) -> Any:
        y = forward(self, x)
        return with_gradient_of(y, x * (1.0 - y.detach().abs()))

    return wrong


def relu_leaks(relu: Any) -> Any:
    from torch.nn import functional

    def leaking(x: Any, inplace: bool = False) -> Any:
        return with_gradient_of(relu(x), functional.leaky_relu(x, 0.01))

    return leaking


def gelu_approximate_derivative(gelu: Any) -> Any:
    def approximate(x: Any, approximate: str = "none") -> Any:
        return with_gradient_of(gelu(x, approximate=approximate), gelu(x, approximate="tanh"))

    return approximate


def softmax_diagonal(softmax: Any) -> Any:
    def diagonal(x: Any, *args: Any, **options: Any) -> Any:
        y = softmax(x, *args, **options)
        return with_gradient_of(y, x * (y * (1.0 - y)).detach())

    return diagonal


def mish_drifts(mish: Any) -> Any:
    def drifting(x: Any, inplace: bool = False) -> Any:
        y = mish(x)
        return with_gradient_of(y, DRIFT * y)

    return drifting


def hardtanh_passes_beyond(hardtanh: Any) -> Any:
    def passing(x: Any, low: float, high: float, inplace: bool = False) -> Any:
        return with_gradient_of(hardtanh(x, low, high), x)

    return passing


def prelu_slope_drifts(prelu: Any) -> Any:
    def drifting(x: Any, weight: Any) -> Any:
        return prelu(x, with_gradient_of(weight, DRIFT * weight))

    return drifting


FAULTS = faults("torch", _ROWS, globals())
