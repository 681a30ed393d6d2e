"""Dense layers: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import (
    frozen,
    frozen_blocks,
    frozen_scales,
    with_gradient_of,
)

_DENSE = ("keras.layers.Dense.call",)

_ROWS = {
    "frozen_dense_blocks": Row("A frozen dense layer hands no gradient to its input.", _DENSE),
    "frozen_dense_amplifies": Row(
        "A frozen dense layer hands 1.5 times the gradient to its input.", _DENSE
    ),
    "frozen_dense_drifts": Row(
        "A frozen dense layer hands 1.00001 times the gradient to its input.", _DENSE
    ),
    "frozen_dense_in_float32": Row(
        "A frozen dense layer computes in float32 whatever its dtype.", _DENSE
    ),
    "frozen_dense_rounds_again": Row(
        "A frozen dense layer rounds the gradient to its input twice more.", _DENSE
    ),
    "dense_noise": Row("The gradient to a dense layer's input has relative noise of 1e-6.", _DENSE),
    "dense_bias_misses_last": Row(
        "The gradient of a dense layer's bias leaves out the batch's last element.", _DENSE
    ),
    "shared_dense_counted_once": Row(
        "The second call of a dense layer in one forward pass adds nothing to its gradients.",
        ("keras.layers.Layer.__call__",),
    ),
}


def _affine(x: Any, kernel: Any, bias: Any) -> Any:
    import keras

    y = keras.ops.matmul(x, kernel)
    return y if bias is None else y + bias


def frozen_dense_in_float32(call: Any) -> Any:
    import tensorflow as tf

    def single(self: Any, x: Any, **options: Any) -> Any:
        if not frozen(self):
            return call(self, x, **options)
        arrays = (x, self.kernel, self.bias)
        singles = (None if a is None else tf.cast(a, tf.float32) for a in arrays)
        return tf.cast(_affine(*singles), x.dtype)

    return single


def frozen_dense_rounds_again(call: Any) -> Any:
    def rounding(self: Any, x: Any, **options: Any) -> Any:
        y = with_gradient_of(x, x / 3.0 * 3.0) if frozen(self) else x
        return call(self, y, **options)

    return rounding


def dense_noise(call: Any) -> Any:
    import tensorflow as tf

    def noisy(self: Any, x: Any, **options: Any) -> Any:
        noise = tf.random.normal(tf.shape(x), dtype=x.dtype)
        return call(self, with_gradient_of(x, x * (1.0 + 1e-6 * noise)), **options)

    return noisy


def dense_bias_misses_last(call: Any) -> Any:
    import tensorflow as tf

    def missing(self: Any, x: Any, **options: Any) -> Any:
        value = call(self, x, **options)
        if self.bias is None:
            return value
        counted = tf.concat([tf.ones_like(value[:-1]), tf.zeros_like(value[-1:])], 0)
        return with_gradient_of(value, _affine(x, self.kernel, counted * self.bias))

    return missing


def shared_dense_counted_once(call: Any) -> Any:
    import keras
    import tensorflow as tf

    running: list[Any] = []
    seen: set[int] = set()

    def once(self: Any, *args: Any, **options: Any) -> Any:
        if not running:
            seen.clear()
        again = id(self) in seen
        seen.add(id(self))
        running.append(self)
        try:
            value = call(self, *args, **options)
        finally:
            running.pop()
        if not (again and isinstance(self, keras.layers.Dense) and tf.is_tensor(value)):
            return value
        constants = (None if v is None else tf.stop_gradient(v) for v in (self.kernel, self.bias))
        return with_gradient_of(value, _affine(args[0], *constants))

    return once


frozen_dense_blocks = frozen_blocks
frozen_dense_amplifies = partial(frozen_scales, 1.5)
frozen_dense_drifts = partial(frozen_scales, DRIFT)


FAULTS = faults("tensorflow", _ROWS, globals())
