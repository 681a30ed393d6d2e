"""Second derivatives that are wrong where the first are right."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.tensorflow.gradients import frozen
from invariants.generate.cases import Wanted

_ROWS = {
    "frozen_dense_is_differentiated_once": Row(
        "A frozen Dense hands on a gradient that counts as a constant from there on.",
        ("keras.layers.Dense.call",),
        Wanted(mode="second_order"),
    ),
}


def frozen_dense_is_differentiated_once(call: Any) -> Any:
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def once(x: Any) -> Any:
        return tf.identity(x), tf.stop_gradient

    def calling(self: Any, x: Any, **options: Any) -> Any:
        return call(self, once(x) if frozen(self) else x, **options)

    return calling


FAULTS = faults("tensorflow", _ROWS, globals())
