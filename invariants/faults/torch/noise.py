"""Random layers: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import drifts, with_gradient_of
from invariants.generate.cases import Wanted

_ROWS = {
    "dropout_forgets_its_mask": Row(
        "The gradient passes through what dropout has zeroed.",
        ("torch.nn.functional.dropout",),
        Wanted(layer="dropout"),
    ),
    "alpha_dropout_forgets_its_mask": Row(
        "The gradient passes through what alpha dropout has switched off.",
        ("torch.nn.functional.alpha_dropout",),
    ),
    "dropout_drifts": Row(
        "Dropout hands on 1.00001 times the gradient.", ("torch.nn.functional.dropout",)
    ),
}


def dropout_forgets_its_mask(dropout: Any) -> Any:
    def forgetful(x: Any, p: float, training: bool, inplace: bool) -> Any:
        return with_gradient_of(dropout(x, p, training, False), x)

    return forgetful


def alpha_dropout_forgets_its_mask(alpha_dropout: Any) -> Any:
    def forgetful(x: Any, p: float, training: bool) -> Any:
        y = alpha_dropout(x, p, training)
        return with_gradient_of(y, x) if training else y

    return forgetful


dropout_drifts = drifts


FAULTS = faults("torch", _ROWS, globals())
