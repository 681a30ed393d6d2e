"""Mixed precision: casts of variables, and the optimizer that scales the loss."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.generate.cases import Wanted

_SCALED = "keras.optimizers.LossScaleOptimizer"

_ROWS = {
    "cast_of_a_frozen_variable_stays": Row(
        "Under a mixed policy a variable that was frozen goes on as the cast of then, without a "
        "gradient.",
        ("keras.Variable._maybe_autocast",),
        Wanted(mode="mixed_bfloat16"),
    ),
    "frozen_casts_block": Row(
        "Under a mixed policy a layer with a frozen variable hands no gradient to its input.",
        ("keras.layers.Dense.call",),
        Wanted(mode="mixed_float16"),
    ),
    "loss_scale_leaves_one_scaled": Row(
        "LossScaleOptimizer leaves the last gradient as it is.",
        (f"{_SCALED}.apply",),
        Wanted(mode="mixed_float16_scaled"),
    ),
    "loss_scale_rounds_frozen": Row(
        "A step of LossScaleOptimizer rounds frozen weights to bfloat16.",
        (f"{_SCALED}.apply",),
        Wanted(mode="mixed_float16_scaled"),
    ),
    "loss_scale_grows_too_early": Row(
        "LossScaleOptimizer divides by the scale that it is to have after the step.",
        (f"{_SCALED}.apply",),
        Wanted(mode="mixed_float16_scaled"),
    ),
}


def cast_of_a_frozen_variable_stays(maybe_autocast: Any) -> Any:
    import tensorflow as tf

    def staying(self: Any, value: Any) -> Any:
        cast = maybe_autocast(self, value)
        if cast is value or not tf.executing_eagerly():
            return cast
        if not self.trainable:
            self.__dict__["cast"] = tf.stop_gradient(cast)
        return self.__dict__.get("cast", cast)

    return staying


def frozen_casts_block(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, inputs: Any, **options: Any) -> Any:
        frozen = self.compute_dtype != self.variable_dtype and not self.trainable
        return call(self, tf.stop_gradient(inputs) if frozen else inputs, **options)

    return blocking


def loss_scale_leaves_one_scaled(apply: Any) -> Any:
    def leaving(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        *others, last = grads or [None]
        if last is None:
            return apply(self, grads, trainable_variables)
        return apply(self, [*others, self.scale_loss(last)], trainable_variables)

    return leaving


def loss_scale_rounds_frozen(apply: Any) -> Any:
    import tensorflow as tf

    def rounding(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        result = apply(self, grads, trainable_variables)
        for variable in self._trainable_variables:
            if not variable.trainable:
                variable.assign(tf.cast(tf.cast(variable.value, "bfloat16"), variable.dtype))
        return result

    return rounding


def loss_scale_grows_too_early(apply: Any) -> Any:
    def early(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        counted = self.built and int(self.step_counter.numpy()) == self.dynamic_growth_steps - 1
        halves = [None if g is None else g / 2.0 for g in grads] if counted else grads
        return apply(self, halves, trainable_variables)

    return early


FAULTS = faults("tensorflow", _ROWS, globals())
