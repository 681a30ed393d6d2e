"""Activations: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import with_gradient_of
from invariants.generate.cases import Wanted

_ACTIVATION = ("keras.layers.Activation.call",)

_ROWS = {
    "tanh_derivative": Row(
        "The derivative of tanh is 1 - |tanh x| instead of 1 - tanh² x.", _ACTIVATION
    ),
    "relu_leaks": Row("relu lets 1% of the gradient pass below 0.", ("keras.layers.ReLU.call",)),
    "gelu_approximate_derivative": Row(
        "The exact gelu has the derivative of its tanh approximation.",
        _ACTIVATION,
        Wanted(layer="gelu"),
    ),
    "softmax_diagonal": Row(
        "The derivative of softmax is the diagonal of its Jacobian alone.",
        ("keras.layers.Softmax.call",),
    ),
    "mish_drifts": Row(
        "The derivative of mish is 1.00001 times what it is.", _ACTIVATION, Wanted(layer="mish")
    ),
    "hard_tanh_passes_beyond": Row(
        "hard_tanh lets the gradient pass beyond its ends.", _ACTIVATION
    ),
    "prelu_slope_drifts": Row(
        "The gradient through PReLU is 1.00001 times what it is.",
        ("keras.layers.PReLU.call",),
        Wanted(layer="prelu"),
    ),
}


def tanh_derivative(call: Any) -> Any:
    import keras
    import tensorflow as tf

    def wrong(self: Any, x: Any) -> Any:
        y = call(self, x)
        if self.activation is not keras.activations.tanh:
            return y
        return with_gradient_of(y, x * tf.stop_gradient(1.0 - tf.abs(y)))

    return wrong


def relu_leaks(call: Any) -> Any:
    import tensorflow as tf

    def leaking(self: Any, x: Any) -> Any:
        return with_gradient_of(call(self, x), tf.nn.leaky_relu(x, 0.01))

    return leaking


def gelu_approximate_derivative(call: Any) -> Any:
    import keras

    def approximate(self: Any, x: Any) -> Any:
        y = call(self, x)
        if self.activation is not keras.activations.gelu:
            return y
        return with_gradient_of(y, keras.activations.gelu(x, approximate=True))

    return approximate


def softmax_diagonal(call: Any) -> Any:
    import tensorflow as tf

    def diagonal(self: Any, x: Any, mask: Any = None) -> Any:
        y = call(self, x, mask)
        return with_gradient_of(y, x * tf.stop_gradient(y * (1.0 - y)))

    return diagonal


def mish_drifts(call: Any) -> Any:
    import keras

    def drifting(self: Any, x: Any) -> Any:
        y = call(self, x)
        if self.activation is not keras.activations.mish:
            return y
        return with_gradient_of(y, DRIFT * y)

    return drifting


def hard_tanh_passes_beyond(call: Any) -> Any:
    import keras

    def passing(self: Any, x: Any) -> Any:
        y = call(self, x)
        return with_gradient_of(y, x) if self.activation is keras.activations.hard_tanh else y

    return passing


def prelu_slope_drifts(call: Any) -> Any:
    def drifting(self: Any, x: Any) -> Any:
        y = call(self, x)
        return with_gradient_of(y, DRIFT * y)

    return drifting


FAULTS = faults("tensorflow", _ROWS, globals())
