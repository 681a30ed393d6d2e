"""Modes: functions that are traced, tapes, recomputation, models that train by themselves."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import with_gradient_of
from invariants.generate.cases import Wanted

_TAPE = "tensorflow.GradientTape"

_ROWS = {
    "function_keeps_its_trace": Row(
        "A function that is made anew goes on with the traces of the first one.",
        ("tensorflow.function",),
        Wanted(mode="function_anew"),
    ),
    "traced_rate_stays": Row(
        "What is traced goes on with the learning rate of its trace.",
        ("keras.optimizers.Optimizer.learning_rate",),
        Wanted(mode="function"),
    ),
    "xla_rounds": Row(
        "What a function compiled by XLA gives is rounded to bfloat16.",
        ("tensorflow.function",),
        Wanted(mode="function_xla"),
    ),
    "persistent_tape_forgets": Row(
        "A persistent tape has no gradient from its second call on.",
        (f"{_TAPE}.gradient",),
        Wanted(mode="tape_persistent"),
    ),
    "watch_misses_last": Row(
        "Of several variables a tape watches all but the last.",
        (f"{_TAPE}.watch",),
        Wanted(mode="tape_explicit"),
    ),
    "accumulator_misses_last": Row(
        "Of several tangents forward mode takes the last for zeros.",
        ("tensorflow.autodiff.ForwardAccumulator.__init__",),
        Wanted(mode="forward_mode"),
    ),
    "recomputed_begins_frozen": Row(
        "A recomputed model that begins with a frozen weight loses its gradients.",
        ("tensorflow.recompute_grad",),
        Wanted(mode="recompute_grad"),
    ),
    "recomputed_drifts": Row(
        "What is recomputed gets 1.00001 times its gradient.",
        ("tensorflow.recompute_grad",),
        Wanted(mode="recompute_grad"),
    ),
    "one_step_of_several": Row(
        "fit makes one step of those of a call.",
        ("keras.Model.fit",),
        Wanted(mode="fit_several_steps"),
    ),
    "fit_forgets_last": Row(
        "The last trainable weight stays where it was in a step of fit.",
        ("keras.Model.train_step",),
        Wanted(mode="fit"),
    ),
}


def function_keeps_its_trace(function: Any) -> Any:
    made: dict[Any, Any] = {}

    def keeping(func: Any = None, **options: Any) -> Any:
        if func is None:
            return function(**options)
        if func not in made:
            made[func] = function(func, **options)
        return made[func]

    return keeping


def traced_rate_stays(learning_rate: Any) -> Any:
    import keras
    import tensorflow as tf

    def of_the_trace(self: Any) -> Any:
        rate = learning_rate.fget(self)
        if tf.executing_eagerly() or not isinstance(rate, keras.Variable):
            return rate
        with tf.init_scope():
            return tf.constant(rate.numpy())

    return property(of_the_trace, learning_rate.fset)


def xla_rounds(function: Any) -> Any:
    import tensorflow as tf

    def rounded(value: Any) -> Any:
        floats = tf.is_tensor(value) and value.dtype.is_floating
        return tf.cast(tf.cast(value, "bfloat16"), value.dtype) if floats else value

    def rounding(func: Any = None, **options: Any) -> Any:
        compiled = function(func, **options)
        if func is None or not options.get("jit_compile"):
            return compiled
        return lambda *args: tf.nest.map_structure(rounded, compiled(*args))

    return rounding


def persistent_tape_forgets(gradient: Any) -> Any:
    def forgetful(self: Any, target: Any, sources: Any, **options: Any) -> Any:
        found = gradient(self, target, sources, **options)
        asked = self.__dict__.get("asked", False)
        self.asked = True
        return None if asked and self._persistent else found

    return forgetful


def watch_misses_last(watch: Any) -> Any:
    def missing(self: Any, tensor: Any) -> None:
        watch(self, tensor[:-1] if isinstance(tensor, list) and len(tensor) > 1 else tensor)

    return missing


def accumulator_misses_last(init: Any) -> Any:
    import tensorflow as tf

    def missing(self: Any, primals: Any, tangents: Any) -> None:
        *others, last = tangents
        init(self, primals, [*others, tf.zeros_like(last) if others else last])

    return missing


def recomputed_begins_frozen(recompute_grad: Any) -> Any:
    import tensorflow as tf

    def losing(f: Any) -> Any:
        recomputed = recompute_grad(f)

        def call(*args: Any) -> Any:
            value = recomputed(*args)
            if f.__globals__["model"].weights[0].trainable:
                return value
            return tf.nest.map_structure(tf.stop_gradient, value)

        return call

    return losing


def recomputed_drifts(recompute_grad: Any) -> Any:
    import tensorflow as tf

    def drifting(value: Any) -> Any:
        return with_gradient_of(value, DRIFT * value)

    def recomputing(f: Any) -> Any:
        recomputed = recompute_grad(f)
        return lambda *args: tf.nest.map_structure(drifting, recomputed(*args))

    return recomputing


def one_step_of_several(fit: Any) -> Any:
    import keras

    def stopping(self: Any, *arrays: Any, batch_size: int, **options: Any) -> Any:
        def first(array: Any) -> Any:
            return array[:batch_size] if self.steps_per_execution > 1 else array

        if "sample_weight" in options:
            options["sample_weight"] = keras.tree.map_structure(first, options["sample_weight"])
        fewer = keras.tree.map_structure(first, arrays)
        return fit(self, *fewer, batch_size=batch_size, **options)

    return stopping


def fit_forgets_last(train_step: Any) -> Any:
    import tensorflow as tf

    def forgetful(self: Any, data: Any) -> Any:
        *_, last = self.trainable_variables or [None]
        before = None if last is None else tf.identity(last.value)
        result = train_step(self, data)
        if last is not None:
            last.assign(before)
        return result

    return forgetful


FAULTS = faults("tensorflow", _ROWS, globals())
