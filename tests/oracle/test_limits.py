"""Where nothing can be judged, and where it still can."""

from __future__ import annotations

import numpy as np
import pytest

from invariants.oracle.limits import may_leave_the_range
from invariants.oracle.rounding import PRECISIONS, Rounding
from invariants.oracle.tape import Tape


@pytest.mark.parametrize(
    ("dtype", "logit", "lost"),
    [
        ("bfloat16", 6.5, True),
        ("bfloat16", 1.5, False),
        ("float32", 6.5, False),
        ("float32", 18.0, True),
        ("float64", 18.0, False),
    ],
)
def test_the_logarithm_of_what_is_left_of_1_is_lost_where_p_rounds_to_1(
    dtype: str, logit: float, lost: bool
) -> None:
    tape = Tape(Rounding(PRECISIONS[dtype]))
    p = tape.constant(np.array([[logit]])).apply("sigmoid")
    with np.errstate(invalid="ignore"):
        (tape.lift(1.0) - p).apply("log")
    assert may_leave_the_range(tape, {}, trained=False) is lost
