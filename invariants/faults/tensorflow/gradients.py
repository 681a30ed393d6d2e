"""Values whose gradient is not their own, the tool of most faults."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT


def with_gradient_of(value: Any, surrogate: Any) -> Any:
    """`value` to the bit, differentiated as if it were `surrogate`."""
    import tensorflow as tf

    def substituted(value: Any, surrogate: Any) -> Any:
        return tf.identity(value), lambda upstream: (None, upstream)

    return tf.custom_gradient(substituted)(tf.stop_gradient(value), surrogate)


def frozen(layer: Any) -> bool:
    # With LoRA, `kernel` is what the kernel and its update add up to.
    kernel = layer._kernel if hasattr(layer, "_kernel") else layer.kernel
    return not (layer.trainable and kernel.trainable)


def frozen_blocks(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, x: Any, **options: Any) -> Any:
        return call(self, tf.stop_gradient(x) if frozen(self) else x, **options)

    return blocking


def frozen_scales(factor: float, call: Any) -> Any:
    def scaling(self: Any, x: Any, **options: Any) -> Any:
        return call(self, with_gradient_of(x, factor * x) if frozen(self) else x, **options)

    return scaling


def gradient_times(factor: Any, call: Any) -> Any:
    """The gradient through a layer is `factor(layer, input, result)` times what it is."""

    def scaled(self: Any, x: Any) -> Any:
        value = call(self, x)
        return with_gradient_of(value, value * factor(self, x, value))

    return scaled


def drifts(function: Any) -> Any:
    """The tensor that a function gives gets DRIFT times its gradient."""
    import tensorflow as tf

    def drifting(*args: Any, **options: Any) -> Any:
        value = function(*args, **options)
        return with_gradient_of(value, DRIFT * value) if tf.is_tensor(value) else value

    return drifting
