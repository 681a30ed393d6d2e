"""Spectral normalisation, written as a subclass of Dense and of Conv2D, and Keras's own wrapper.

keras.layers.SpectralNormalization is another layer: in training mode it assigns the normalised
kernel to the kernel itself, a frozen one's too, and keeps u alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Axes, Lowering, NativeParameter, arguments
from invariants.backends.tensorflow.rows.common import layer_row
from invariants.backends.tensorflow.rows.convolution import windows_of

_SPECTRAL = """\
def unit(x):
    return x / keras.ops.sqrt(keras.ops.sum(keras.ops.square(x)))


def spectral_norm(layer, training):
    # The kernel over its largest singular value, which a power iteration finds.
    matrix = keras.ops.reshape(layer.kernel, (-1, layer.kernel.shape[-1]))
    if training:
        constant = keras.ops.stop_gradient(matrix)
        for _ in range(layer.iterations):
            u = unit(keras.ops.matmul(layer.vector_v, constant))
            layer.vector_u.assign(u)
            layer.vector_v.assign(unit(keras.ops.matmul(constant, u)))
    along = keras.ops.matmul(layer.vector_v, matrix)
    return layer.kernel / keras.ops.sum(along * layer.vector_u)


def add_vectors(layer):
    *window, units = layer.kernel.shape
    size = 1
    for extent in window:
        size *= extent
    layer.vector_u = layer.add_weight(shape=(units,), trainable=False, name="vector_u")
    layer.vector_v = layer.add_weight(shape=(size,), trainable=False, name="vector_v")
"""

_DENSE = '''\
class SpectralNormDense(keras.layers.Dense):
    """A dense layer with spectral normalisation."""

    def __init__(self, units, iterations=1, **options):
        super().__init__(units, **options)
        self.iterations = iterations

    def build(self, input_shape):
        super().build(input_shape)
        add_vectors(self)

    def call(self, x, training=False):
        y = keras.ops.matmul(x, spectral_norm(self, training))
        return y + self.bias if self.use_bias else y
'''

_CONV = '''\
class SpectralNormConv2D(keras.layers.Conv2D):
    """A convolution with spectral normalisation."""

    def __init__(self, filters, kernel_size, iterations=1, **options):
        super().__init__(filters, kernel_size, **options)
        self.iterations = iterations

    def build(self, input_shape):
        super().build(input_shape)
        add_vectors(self)

    def call(self, x, training=False):
        y = self.convolution_op(x, spectral_norm(self, training))
        return y + self.bias if self.use_bias else y
'''


def _iterated(layer: Any, name: str) -> str:
    """The argument `name` where there is more than one iteration."""
    return f"{name}={layer.iterations}, " if layer.iterations > 1 else ""


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    steps = _iterated(layer, "iterations")
    return f"SpectralNormConv2D({layer.filters}, {layer.kernel_size}, {steps}{windows_of(layer)}, "


def _dense(layer: Any, specs: Sequence[Spec]) -> str:
    steps = _iterated(layer, "iterations")
    return f"SpectralNormDense({layer.units}, {steps}{arguments(use_bias=layer.use_bias)}, "


def _parameters(window: Axes | None) -> dict[str, NativeParameter]:
    names = ("kernel", "bias", "vector_u")
    held = {name: NativeParameter(name) for name in names}
    return {**held, "vector_v": NativeParameter("vector_v", window)}


def _wrapped(layer: Any, inner: str) -> str:
    return f"keras.layers.SpectralNormalization({inner}, {_iterated(layer, 'power_iterations')}"


def _wrapped_dense(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(use_bias=layer.use_bias, name="dense")
    return _wrapped(layer, f"keras.layers.Dense({layer.units}, {options})")


def _wrapped_conv(layer: Any, specs: Sequence[Spec]) -> str:
    options = f"{windows_of(layer)}, {arguments(name='conv')}"
    return _wrapped(layer, f"keras.layers.Conv2D({layer.filters}, {layer.kernel_size}, {options})")


def _wrapper(name: str) -> dict[str, NativeParameter]:
    """The parameters of the wrapper around a layer of that name."""
    return {
        "kernel": NativeParameter(f"{name}/kernel", attribute="layer.kernel"),
        "bias": NativeParameter(f"{name}/bias", attribute="layer.bias"),
        "vector_u": NativeParameter("vector_u", ((), 0)),
    }


ROWS: dict[str, Lowering] = {
    "spectral_norm_dense": Lowering(
        _dense, layer_row("").call, _parameters(None), definition=(_SPECTRAL, _DENSE)
    ),
    "spectral_norm_conv2d": Lowering(
        _conv, layer_row("").call, _parameters(((0, 1, 2),)), definition=(_SPECTRAL, _CONV)
    ),
    "spectral_normalization_dense": Lowering(_wrapped_dense, layer_row("").call, _wrapper("dense")),
    "spectral_normalization_conv2d": Lowering(_wrapped_conv, layer_row("").call, _wrapper("conv")),
}
