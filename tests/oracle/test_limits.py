"""Where nothing can be judged, and where it still can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from invariants.case import Case, from_json
from invariants.ledger import known_issues, pinned_case
from invariants.optimizer import Adafactor, Adamax
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.oracle.limits import is_chaos, may_leave_the_range, square_may_underflow
from invariants.oracle.optimizers import step
from invariants.oracle.rounding import PRECISIONS, Estimate, Rounding
from invariants.oracle.stepping import unmoved
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


@pytest.mark.parametrize(
    ("dtype", "divisor", "lost"),
    [("float16", 0.0016, True), ("float16", 0.03125, False), ("float32", 0.0016, False)],
)
def test_a_divisor_whose_square_underflows_is_lost_to_xla(
    dtype: str, divisor: float, lost: bool
) -> None:
    tape = Tape(Rounding(PRECISIONS[dtype]))
    _ = tape.constant(np.array([[0.0013]])) / tape.constant(np.array([[divisor]]))
    assert square_may_underflow(tape) is lost


@pytest.mark.parametrize(("size", "known"), [(1.0, True), (8.0, True), (16.0, False)])
def test_a_second_moment_beyond_float16_leaves_a_step_unknown(size: float, known: bool) -> None:
    """torch's Adafactor multiplies two of them, and infinite ones end the training of a weight."""
    weight, rounding = np.ones((1, 2, 2)), Rounding(PRECISIONS["float16"])
    gradient = np.array([[[size, -size], [size, size]]])
    moved, slots = step(Adafactor(), CONTRACTS["torch"], rounding, weight, gradient, {}, 1)
    assert bool(np.isfinite(moved).all()) is known
    assert all(bool(np.isfinite(slot).all()) is known for slot in slots.values())


@pytest.mark.parametrize(("epsilon", "known"), [(1e-7, False), (1e-3, True)])
def test_a_divisor_below_float16_leaves_a_step_unknown(epsilon: float, known: bool) -> None:
    """Keras's Adamax divides by (1 - β₁)·(u + ε), where u is 0 without a gradient."""
    weight, rounding = np.ones((1, 2)), Rounding(PRECISIONS["float16"])
    optimizer = Adamax(epsilon=epsilon)
    gradient = np.array([[0.0, 1.0]])
    moved, _ = step(optimizer, CONTRACTS["tensorflow"], rounding, weight, gradient, {}, 1)
    assert bool(np.isfinite(moved).all()) is known


@pytest.mark.parametrize(("floor", "known"), [(1e-7, False), (1e-3, True)])
def test_a_floor_that_float16_takes_for_0_leaves_a_step_unknown(floor: float, known: bool) -> None:
    """torch's Adafactor clamps a second moment at the square of its floor, and takes 1/√ of it."""
    weight, rounding = np.ones((1, 2)), Rounding(PRECISIONS["float16"])
    gradient = np.array([[0.0, 1.0]])
    optimizer = Adafactor(floor=floor)
    moved, _ = step(optimizer, CONTRACTS["torch"], rounding, weight, gradient, {}, 1)
    assert bool(np.isfinite(moved).all()) is known


@pytest.mark.parametrize(
    ("before", "after", "same"), [(1.0, 1.0, True), (1.0, 2.0, False), (np.inf, np.inf, False)]
)
def test_a_weight_that_is_not_known_is_not_known_to_stay(
    before: float, after: float, same: bool
) -> None:
    assert unmoved(np.full((1, 2), before), np.full((1, 2), after)) is same


def test_a_spread_beyond_every_gradient_is_chaos() -> None:
    samples = np.zeros((17, 2))
    samples[:, 0] = 1.0
    tipped = samples.copy()
    tipped[3, 1] = 100.0
    assert not is_chaos({"kernel": samples})
    assert is_chaos({"kernel": samples, "query": tipped})
    assert not is_chaos({"kernel": 1000.0 * samples, "query": tipped})


def _bent(name: str, dtype: str, x: float, again: bool) -> Tape:
    """A pass over 1 / x or log x, whose gradient is taken again along x or not."""
    tape = Tape(Rounding(PRECISIONS[dtype]))
    leaf = tape.constant(np.array([[x]]))
    y = tape.lift(1.0) / leaf if name == "divide" else leaf.apply("log")
    along = {leaf.index: np.array([[2.0**-10]])} if again else None
    tape.gradients((y * 2.0**-4).sum(-1), [leaf], 1.0, along)
    return tape


@pytest.mark.parametrize(
    ("name", "dtype", "x", "again", "lost"),
    [
        ("log", "float16", 2.0**-10, True, True),  # 2⁻⁴ / x² is 65536
        ("log", "float16", 2.0**-8, True, False),
        ("log", "float16", 2.0**-10, False, False),
        ("log", "float32", 2.0**-10, True, False),
        ("divide", "float16", 2.0**-6, True, True),  # 1 / x³ is 262144
        ("divide", "float16", 2.0**-4, True, False),
        ("divide", "float16", 2.0**-6, False, False),
    ],
)
def test_a_quotient_on_the_way_of_a_second_derivative_may_overflow(
    name: str, dtype: str, x: float, again: bool, lost: bool
) -> None:
    """Whose product with a small change is well within the format."""
    tape = _bent(name, dtype, x, again)
    assert may_leave_the_range(tape, {}, trained=False) is lost


def test_where_the_windows_are_unknown_so_is_what_the_documented_ones_do_not_meet() -> None:
    (issue,) = (i for i in known_issues() if i.id == "tensorflow-conv3d-two-derivatives")
    case = replace(from_json(pinned_case(issue).read_text()), input_gradient=True)
    assert np.isinf(at_the_input(case, "unknown").spread).all()
    # Of three slices, one is met by a window of one at a stride of three.
    known = at_the_input(case, "from_the_start")
    assert np.isfinite(known.spread).all()
    assert (known.value[:, 1:] == 0.0).all()


def at_the_input(case: Case, windows: str) -> Estimate:
    contract = CONTRACTS["tensorflow"].as_if({"conv3d_windows": windows})
    with np.errstate(invalid="ignore"):
        (point,) = expect(case, "tensorflow", contract).points
    return point.gradients["input_0"]
