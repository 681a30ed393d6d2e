"""What makes one number of losses and penalties: functions from an original to what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.tensorflow.gradients import drifts, with_gradient_of

_LOSS = ("keras.losses.Loss.__call__",)
_PENALTIES = ("keras.regularizers.L1.__call__", "keras.regularizers.L2.__call__")

_ROWS = {
    "sample_weights_ignored": Row("A loss takes no notice of sample weights.", _LOSS),
    "masked_mean_counts_all": Row(
        "A masked mean is divided by the number of all positions.", _LOSS
    ),
    "loss_sums_are_means": Row("A loss that is to be a sum is a mean.", _LOSS),
    "term_weights_ignored": Row(
        "The gradient of a number times a scalar leaves out the number.",
        ("tensorflow.Tensor.__rmul__",),
    ),
    "penalties_lost": Row("layer.losses holds no penalties.", ("keras.layers.Layer.losses",)),
    "penalties_blocked": Row("A regularizer has no gradient.", _PENALTIES),
    "penalties_drift": Row("A regularizer has 1.00001 times its gradient.", _PENALTIES),
    "penalties_reach_frozen": Row(
        "A step moves frozen weights that have a regularizer down its gradient.",
        ("keras.optimizers.Optimizer.apply",),
    ),
    "second_output_dropped_when_frozen": Row(
        "The second output of a network that holds a frozen weight hands back no gradient.",
        ("keras.layers.Layer.__call__",),
    ),
}

penalties_drift = drifts


def sample_weights_ignored(call: Any) -> Any:
    def ignoring(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        kept = sample_weight if self.reduction == "mean_with_sample_weight" else None
        return call(self, y_true, y_pred, sample_weight=kept)

    return ignoring


def _is_a_plain_mean(reduction: str, call: Any) -> Any:
    """What is to be reduced by `reduction` is averaged over all positions."""

    def averaged(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        kept = self.reduction
        self.reduction = "sum_over_batch_size" if kept == reduction else kept
        try:
            return call(self, y_true, y_pred, sample_weight=sample_weight)
        finally:
            self.reduction = kept

    return averaged


masked_mean_counts_all = partial(_is_a_plain_mean, "mean_with_sample_weight")
loss_sums_are_means = partial(_is_a_plain_mean, "sum")


def term_weights_ignored(rmul: Any) -> Any:
    def ignoring(self: Any, other: Any) -> Any:
        value = rmul(self, other)
        scalar = isinstance(other, float) and self.shape.rank == 0
        return with_gradient_of(value, self) if scalar else value

    return ignoring


def penalties_lost(losses: Any) -> Any:
    def none(self: Any) -> Any:
        return []

    return property(none)


def penalties_blocked(call: Any) -> Any:
    import tensorflow as tf

    def blocked(self: Any, x: Any) -> Any:
        return tf.stop_gradient(call(self, x))

    return blocked


def penalties_reach_frozen(apply: Any) -> Any:
    import tensorflow as tf

    def reaching(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        apply(self, grads, trainable_variables)
        for variable in self._trainable_variables if self.built else ():
            if variable.trainable or variable.regularizer is None:
                continue
            with tf.GradientTape() as tape:
                x = tf.convert_to_tensor(variable)
                tape.watch(x)
                penalty = variable.regularizer(x)
            rate = tf.cast(self.learning_rate, x.dtype)
            variable.assign(x - rate * tape.gradient(penalty, x))

    return reaching


def _holds_frozen(model: Any) -> bool:
    layers = model._flatten_layers()
    return any(not v.trainable for layer in layers for v in layer._trainable_variables)


def second_output_dropped_when_frozen(call: Any) -> Any:
    import keras
    import tensorflow as tf

    def dropping(self: Any, *args: Any, **options: Any) -> Any:
        value = call(self, *args, **options)
        several = isinstance(self, keras.Model) and isinstance(value, list | tuple)
        if not several or not _holds_frozen(self):
            return value
        return [value[0], tf.stop_gradient(value[1]), *value[2:]]

    return dropping


FAULTS = faults("tensorflow", _ROWS, globals())
