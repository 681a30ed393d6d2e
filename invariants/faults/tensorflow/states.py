"""States: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults

_BATCH_NORM = ("keras.layers.BatchNormalization.call",)

_ROWS = {
    "frozen_batch_norm_goes_on": Row(
        "A frozen batch norm goes on in training mode: batch moments, moving averages.",
        _BATCH_NORM,
    ),
    "frozen_batch_norm_counts": Row(
        "A frozen batch norm runs in inference mode and still moves its averages.", _BATCH_NORM
    ),
}


def frozen_batch_norm_goes_on(call: Any) -> Any:
    def training_mode(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        flag = self._trainable
        self._trainable = True
        try:
            return call(self, x, training, mask)
        finally:
            self._trainable = flag

    return training_mode


def frozen_batch_norm_counts(call: Any) -> Any:
    import tensorflow as tf

    def counting(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        y = call(self, x, training, mask)
        if training and not self.trainable:
            moments = tf.nn.moments(x, list(range(len(x.shape) - 1)))
            for average, moment in zip(self.non_trainable_variables[-2:], moments, strict=True):
                average.assign(average * self.momentum + moment * (1.0 - self.momentum))
        return y

    return counting


FAULTS = faults("tensorflow", _ROWS, globals())
