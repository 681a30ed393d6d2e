"""Random layers: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.tensorflow.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "dropout_forgets_its_mask": Row(
        "The gradient passes through what dropout has zeroed.", ("keras.layers.Dropout.call",)
    ),
    "alpha_dropout_forgets_its_mask": Row(
        "The gradient passes through what alpha dropout has switched off.",
        ("keras.layers.AlphaDropout.call",),
        Wanted(layer="alpha_dropout"),
    ),
    "dropout_drifts": Row(
        "Dropout hands on 1.00001 times the gradient.", ("keras.layers.Dropout.call",)
    ),
}


def dropout_forgets_its_mask(call: Any) -> Any:
    def forgetful(self: Any, x: Any, training: bool = False) -> Any:
        return with_gradient_of(call(self, x, training), x)

    return forgetful


def alpha_dropout_forgets_its_mask(call: Any) -> Any:
    def forgetful(self: Any, x: Any, training: bool = False) -> Any:
        y = call(self, x, training)
        return with_gradient_of(y, x) if training else y

    return forgetful


dropout_drifts = drifts


FAULTS = faults("tensorflow", _ROWS, globals())
