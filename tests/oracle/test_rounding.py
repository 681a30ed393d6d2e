"""What the rounding model promises of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.architecture.layers.normalization import rescaled
from invariants.generate.cases import cases
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import Expectation
from invariants.oracle.interpreter import expect
from invariants.oracle.primitives import PRIMITIVES
from invariants.oracle.rounding import (
    LAMBDA,
    PRECISIONS,
    SAMPLES,
    Estimate,
    Precision,
    Rounding,
    deviation,
    estimate,
    straddle_maxima,
    straddle_zero,
)
from invariants.oracle.tape import Tape, Value

FLOAT32, FLOAT64 = PRECISIONS["float32"], PRECISIONS["float64"]
all_precisions = pytest.mark.parametrize("precision", PRECISIONS.values(), ids=str)
both_contracts = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)

#: The samples in which equal numbers are moved each by itself.
EACH_BY_ITSELF = slice(1, 1 + SAMPLES // 2)

#: Multiples of 1/64, as cases are drawn.
grid_numbers = st.integers(-256, 256).map(lambda n: n / 64)


def leaf(precision: Precision, *numbers: float) -> Value:
    return Tape(Rounding(precision)).constant(np.array([numbers]))


def samples_of(value: Value) -> int:
    return int(value.data.shape[0])


# --- exact computations -------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [FLOAT64, FLOAT32], ids=str)  # wide enough for the sums
@given(
    a=st.lists(grid_numbers, min_size=6, max_size=6),
    b=st.lists(grid_numbers, min_size=6, max_size=6),
)
def test_sums_and_products_on_the_grid_stay_in_one_sample(
    precision: Precision, a: list[float], b: list[float]
) -> None:
    tape = Tape(Rounding(precision))
    x = tape.constant(np.array(a).reshape(1, 2, 3))
    kernel = tape.constant(np.array(b).reshape(1, 3, 2))
    y = ((x @ kernel).apply("relu", at_zero=0.0) - 1.0).sum(-1)
    assert samples_of(y) == 1
    exact = np.maximum(np.array(a).reshape(2, 3) @ np.array(b).reshape(3, 2), 0.0) - 1.0
    assert np.array_equal(y.data[0], exact.sum(-1))
    assert estimate(y.data, tape.rounding).exact


def test_a_product_that_float32_cannot_hold_is_disturbed_in_float32_alone() -> None:
    big = 4095.0 + 1.0 / 64.0  # 18 bits; its square has 36
    for precision, samples in ((FLOAT64, 1), (FLOAT32, SAMPLES + 1)):
        x = leaf(precision, big)
        assert samples_of(x * x) == samples


@all_precisions
def test_what_leaves_the_grid_is_disturbed(precision: Precision) -> None:
    x = leaf(precision, 1.0, 3.0)
    for y in (x / 3.0, x.apply("tanh"), x * 0.1):
        assert samples_of(y) == SAMPLES + 1
        assert not estimate(y.data, Rounding(precision)).exact


@all_precisions
def test_moving_elements_adds_no_rounding(precision: Precision) -> None:
    x = leaf(precision, 0.1, 0.2, -0.3, 0.4)
    assert x.grid is None
    y = x.reshape(2, 2).apply("slice", start=0, stop=1).apply("pad", widths=((1, 0), (0, 1)))
    assert samples_of(y.apply("relu", at_zero=0.0)) == 1


# --- disturbances -------------------------------------------------------------------------------


@all_precisions
@given(
    numbers=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), ulps=st.sampled_from((1.0, 3.0))
)
def test_sample_zero_is_never_disturbed(
    precision: Precision, numbers: list[float], ulps: float
) -> None:
    x = np.array([numbers])
    rounding = Rounding(precision)
    assert np.array_equal(rounding.disturb(x, ulps)[0], x[0])
    assert np.array_equal(rounding.disturb(x, ulps, np.abs(x))[0], x[0])
    assert np.array_equal(rounding.flush(x, 1.0)[0], x[0])


@all_precisions
@given(number=st.floats(1e-3, 1e6), ulps=st.sampled_from((1.0, 2.0, 3.0)))
def test_one_rounding_moves_by_no_more_than_its_ulps(
    precision: Precision, number: float, ulps: float
) -> None:
    """In float64 a move is rounded to a whole ulp (2u), up or down, and by one rounding more."""
    moved = Rounding(precision).disturb(np.full((1, 64), number), ulps)
    u = precision.unit_roundoff
    allowed = ulps * u * (2.0 if precision is FLOAT64 else 1.0) + 2.0**-53
    absolute = precision.absolute * (1 + 2.0**-50)
    assert np.all(np.abs(moved - number) <= allowed * number * (1 + 2.0**-50) + absolute)
    assert np.unique(moved[1:]).size > 2


def test_ulps_in_float64_are_whole_and_have_no_bias() -> None:
    """Of 1.0, whose neighbour above is 2u away: all moves are representable there."""
    moved = Rounding(FLOAT64).disturb(np.ones((1, 12000)))[EACH_BY_ITSELF] - 1.0
    moves = moved / FLOAT64.unit_roundoff
    assert set(np.unique(moves)) == {-2.0, 0.0, 2.0}
    standard_error = moves.std() / np.sqrt(moves.size)
    assert abs(moves.mean()) < 5.0 * standard_error
    # ξ uniform in [-1, 1], rounded stochastically to 0 or ±2: E ξ² = 2·E|ξ| = 1.
    assert np.mean(moves**2) == pytest.approx(1.0, rel=5.0 / np.sqrt(moves.size / 3))


def test_moves_below_float64_are_uniform_and_have_no_bias() -> None:
    moved = Rounding(FLOAT32).disturb(np.ones((1, 12000)))[EACH_BY_ITSELF] - 1.0
    moves = moved / FLOAT32.unit_roundoff
    assert np.abs(moves).max() <= 1.0
    assert abs(moves.mean()) < 5.0 / np.sqrt(3.0 * moves.size)
    assert np.mean(moves**2) == pytest.approx(1.0 / 3.0, rel=5.0 / np.sqrt(moves.size))


@all_precisions
def test_two_roundings_of_equal_numbers_are_independent(precision: Precision) -> None:
    rounding, numbers = Rounding(precision), np.linspace(1.0, 1.5, 500)[None]
    first, second = ((rounding.disturb(numbers)[1:] / numbers - 1.0).reshape(-1) for _ in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5.0 / np.sqrt(first.size)


@all_precisions
def test_equal_elements_are_moved_alike_in_half_of_the_samples(precision: Precision) -> None:
    """Unequal ones are not; neighbours in float64 count as equal."""
    numbers = np.array([[0.1, 0.3, 0.1, 0.1 * (1.0 + 2.0**-52), 0.4]])
    deviations = Rounding(precision).disturb(numbers, 8.0) / numbers - 1.0
    apart, alike = deviations[EACH_BY_ITSELF], deviations[1 + SAMPLES // 2 :]
    close = 4.0 * 2.0**-53
    assert np.all(np.abs(alike[:, 2:4] - alike[:, :1]) <= close)
    for moved, first, second in ((apart, 0, 2), (alike, 0, 1), (alike, 0, 4)):
        assert np.any(np.abs(moved[:, first] - moved[:, second]) > close)


@all_precisions
def test_the_errors_of_equal_terms_add_up(precision: Precision) -> None:
    """Of k terms with one error e each, their sum has the error k·e, not √k·e."""
    terms = 256
    x = Tape(Rounding(precision)).constant(np.linspace(0.1, 0.9, 50)[None, :, None])
    same = x.apply("repeat", axis=-1, times=terms).apply("tanh")
    total = same.sum(-1)
    one = estimate(same.data[..., 0], Rounding(precision)).spread
    ratio = estimate(total.data, Rounding(precision)).spread / one
    # All of it in half of the samples, so 1/√2 of it in the root mean square.
    assert 0.5 * terms < np.sqrt(np.square(ratio).mean()) < terms


@all_precisions
def test_the_gradient_of_a_scale_is_rounded_apart_from_the_forward_pass(
    precision: Precision,
) -> None:
    """d log((x - m)·s) / ds = 1/s whatever x - m was rounded to; Σ g·x - m·Σ g cancels anew."""
    tape = Tape(Rounding(precision))
    x, mean, scale = (tape.constant(np.array([[number]])) for number in (10.1, 10.0, 3.0))
    y = rescaled(x, mean, scale).apply("log").sum(-1)
    (gradient,) = tape.gradients(y, [scale])
    spread = estimate(gradient, Rounding(precision)).spread
    assert np.all(spread > 0.3 * precision.unit_roundoff * (20.1 / 0.1) / 3.0)


@all_precisions
def test_the_difference_of_equal_numbers_has_a_spread(precision: Precision) -> None:
    """They may come from different sums, which a framework rounds differently."""
    x = leaf(precision, 0.3, 0.3).apply("tanh")
    difference = x.apply("slice", start=0, stop=1) - x.apply("slice", start=1, stop=2)
    assert np.all(estimate(difference.data, Rounding(precision)).spread > 0.0)


@all_precisions
def test_a_reduction_is_rounded_by_the_size_of_its_terms(precision: Precision) -> None:
    """1 + 0.1 - 1 - 0.1: the sum is zero, its partial sums are not."""
    total = leaf(precision, 1.0, 0.1, -1.0, -0.1).sum(-1)
    spread = estimate(total.data, Rounding(precision)).spread
    assert np.all((spread > 0.5 * precision.unit_roundoff) & (spread < 8 * precision.unit_roundoff))


@all_precisions
def test_arrays_larger_than_the_pool_of_noise_are_disturbed_throughout(
    precision: Precision,
) -> None:
    moved = Rounding(precision).disturb(np.ones((1, 3, 10000)))
    assert moved.shape == (SAMPLES + 1, 3, 10000)
    assert np.all(np.any(moved != 1.0, axis=0).mean() > 0.99)


# --- determinism --------------------------------------------------------------------------------


def bits(expectation: Expectation) -> list[Any]:
    """All numbers of an expectation, to the bit."""
    out: list[Any] = []
    for point in expectation.points:
        estimates = {} if point.loss is None else {"loss": point.loss}
        for part in (estimates, point.gradients, point.weights, point.updates, point.state):
            out += [(n, e.value.tobytes(), e.spread.tobytes()) for n, e in part.items()]
    return out


@settings(max_examples=30, deadline=None)
@given(case=cases())
def test_the_same_case_has_the_same_expectation_to_the_bit(case: Any) -> None:
    for backend in CONTRACTS:
        assert bits(expect(case, backend)) == bits(expect(case, backend))


# --- estimates ----------------------------------------------------------------------------------


@all_precisions
@given(value=st.floats(1e-3, 1e6))
def test_the_spread_is_at_least_one_rounding_of_the_result(
    precision: Precision, value: float
) -> None:
    samples = np.full((SAMPLES + 1, 1), value)
    samples[3] = np.nextafter(value, np.inf)
    spread = estimate(samples, Rounding(precision)).spread
    assert spread[0] >= value * precision.unit_roundoff / np.sqrt(3.0)


def test_the_spread_is_the_root_mean_square_distance_from_sample_zero() -> None:
    samples = np.concatenate([[[10.0]], np.where(np.arange(SAMPLES) % 2, 10.0, 12.0)[:, None]])
    e = estimate(samples, Rounding(FLOAT32))
    assert e.value[0] == 10.0
    assert e.spread[0] == pytest.approx(np.sqrt(2.0), rel=1e-15)


@all_precisions
def test_what_was_never_disturbed_has_no_spread(precision: Precision) -> None:
    assert estimate(np.full((1, 2), 0.3), Rounding(precision)).exact


@all_precisions
def test_a_zero_in_every_sample_has_no_spread(precision: Precision) -> None:
    """The gradient behind a dead relu is zero in every order of operations."""
    assert estimate(np.zeros((SAMPLES + 1, 2)), Rounding(precision)).exact


@all_precisions
def test_no_inexact_result_is_taken_for_exact(precision: Precision) -> None:
    """However the dice fall: a move rounded to whole ulps is no move three times in four."""
    thirds = leaf(precision, *(n + 0.5 for n in range(2000))) / 3.0
    e = estimate(thirds.data, Rounding(precision))
    assert np.all(e.spread >= e.value * (precision.unit_roundoff / np.sqrt(3.0)))


# --- deviations ---------------------------------------------------------------------------------


def one(value: float, spread: float) -> Estimate:
    return Estimate(np.array([value]), np.array([spread]))


@pytest.mark.parametrize("observed", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_an_observed_nan_or_infinity_is_infinitely_far(observed: float, spread: float) -> None:
    assert deviation(np.array([observed]), one(1.0, spread)).spreads[0] == np.inf


@pytest.mark.parametrize("value", [0.0, -1.5, np.nan, np.inf])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_what_is_equal_is_no_distance_away(value: float, spread: float) -> None:
    assert deviation(np.array([value]), one(value, spread)).spreads[0] == 0.0


def test_without_a_spread_the_last_bit_counts() -> None:
    assert deviation(np.array([np.nextafter(1.0, 2.0)]), one(1.0, 0.0)).spreads[0] == np.inf


def test_a_distance_is_counted_in_spreads() -> None:
    away = deviation(np.array([1.0, 3.0]), Estimate(np.array([1.0, 2.0]), np.array([0.5, 0.25])))
    assert away.spreads.tolist() == [0.0, 4.0]
    assert away.worst == (1,)


@pytest.mark.parametrize(
    ("value", "spread", "informative"),
    [
        (1.0, 0.9 / LAMBDA, True),
        (1.0, 1.0 / LAMBDA, False),
        (-1.0, 2.0 / LAMBDA, False),
        (-1.0, 0.0, True),
        (0.0, 1.0, True),
        (0.0, 0.0, True),
    ],
)
def test_an_element_says_nothing_where_its_spread_reaches_its_value(
    value: float, spread: float, informative: bool
) -> None:
    assert deviation(np.array([value]), one(value, spread)).informative[0] == informative


# --- kinks and cancellation ---------------------------------------------------------------------


@all_precisions
@both_contracts
def test_a_relu_at_exactly_zero_follows_the_contract(contract: Any, precision: Precision) -> None:
    """Of x - x = 0, which is exact, so that every sample sits on the kink."""
    tape = Tape(Rounding(precision))
    x = tape.constant(np.array([[0.5, 1.0]]))
    tie = (x - tape.constant(np.array([[0.5, 0.5]]))).apply(
        "relu", at_zero=contract["relu_derivative_at_zero"]
    )
    (gradient,) = tape.gradients(tie.sum(-1), [x])
    at_tie, beside = gradient[:, 0], gradient[:, 1]
    assert np.all(at_tie == contract["relu_derivative_at_zero"])
    assert np.all(beside == 1.0)


@all_precisions
@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_a_tie_takes_the_subgradient_that_it_is_told(at_zero: float, precision: Precision) -> None:
    x = leaf(precision, 0.0)
    (gradient,) = x.tape.gradients(x.apply("relu", at_zero=at_zero).sum(-1), [x])
    assert np.all(gradient == at_zero)


@all_precisions
def test_of_equal_maxima_the_first_takes_the_whole_gradient(precision: Precision) -> None:
    x = leaf(precision, 1.0, 2.0, 2.0, 2.0)
    largest = x.reshape(4, 1).apply("max", tie="first")
    (gradient,) = x.tape.gradients(largest.sum(-1), [x])
    assert np.all(gradient == [0.0, 1.0, 0.0, 0.0])


@all_precisions
def test_equal_maxima_may_share_the_gradient(precision: Precision) -> None:
    x = leaf(precision, 1.0, 2.0, 2.0)
    largest = x.reshape(3, 1).apply("max", tie="split")
    (gradient,) = x.tape.gradients(largest.sum(-1), [x])
    assert np.all(gradient == [0.0, 0.5, 0.5])


@all_precisions
def test_next_to_a_kink_the_spread_holds_both_slopes(precision: Precision) -> None:
    """A value that rounding carries over the kink may have either derivative."""
    x = leaf(precision, 0.1)
    near = (x * 3.0 - 0.3).apply("relu", at_zero=0.0)
    (gradient,) = x.tape.gradients(near.sum(-1), [x])
    slopes = np.round(gradient[1:, 0])
    assert set(slopes.tolist()) == {0.0, 3.0}
    assert LAMBDA * estimate(gradient, x.tape.rounding).spread[0] > 3.0


def gelu_spread(precision: Precision, x: float) -> float:
    """The relative spread of Φ(x) = (1 + erf(x/√2))/2, in units of the unit roundoff."""
    phi = ((leaf(precision, x) * np.sqrt(0.5)).apply("erf") + 1.0) * 0.5
    e = estimate(phi.data, Rounding(precision))
    return float(e.spread[0] / e.value[0] / precision.unit_roundoff)


@all_precisions
def test_the_cdf_of_a_gelu_is_far_wider_than_an_ulp_at_negative_arguments(
    precision: Precision,
) -> None:
    """erf(x/√2) + 1 cancels: an ulp of erf is 1/Φ(x) ulps of the sum."""
    assert gelu_spread(precision, 3.0) < PRIMITIVES["erf"].ulps
    assert gelu_spread(precision, -3.0) > 100.0
    assert gelu_spread(precision, -4.5) > 10.0 * gelu_spread(precision, -3.0)


NEAR_ZERO = np.full((SAMPLES + 1, 6), 1e-9) + 1e-9 * np.linspace(0, 1, SAMPLES + 1)[:, None]


@pytest.mark.parametrize("turn", range(20))
def test_a_value_near_a_kink_is_on_both_sides_of_it(turn: int) -> None:
    moved = straddle_zero(NEAR_ZERO, turn)
    assert ((moved < 0).sum(axis=0) >= SAMPLES // 8).all()
    assert ((moved > 0).sum(axis=0) >= SAMPLES // 2).all()


@pytest.mark.parametrize("turn", range(20))
def test_half_of_the_samples_go_where_rounding_took_them(turn: int) -> None:
    moved = straddle_zero(NEAR_ZERO, turn)
    assert ((moved == NEAR_ZERO).all(axis=1)).sum() >= SAMPLES // 2
    assert (moved[0] == NEAR_ZERO[0]).all()


def test_elements_near_a_kink_go_their_own_way_and_all_together() -> None:
    negative = straddle_zero(NEAR_ZERO, 5) < 0
    assert negative.all(axis=1).any()
    assert (negative.any(axis=1) & ~negative.all(axis=1)).any()


def test_a_value_far_from_a_kink_stays() -> None:
    far = NEAR_ZERO + 1.0
    assert straddle_zero(far, 1) is far


def test_each_of_two_near_maxima_is_the_largest_somewhere() -> None:
    windows = np.stack([NEAR_ZERO, NEAR_ZERO[::-1], NEAR_ZERO - 1.0], axis=-2)
    largest = straddle_maxima(windows, 2).argmax(axis=-2)
    for column in range(windows.shape[-1]):
        assert set(largest[:, column]) == {0, 1}


@pytest.mark.parametrize("size", [1.0, 1e-100, 1e-200, 1e-290])
def test_a_spread_does_not_underflow(size: float) -> None:
    samples = size * (1.0 + 1e-10 * np.arange(SAMPLES + 1.0)[:, None])
    ratio = (
        estimate(samples, Rounding(FLOAT64)).spread
        / estimate(samples / size, Rounding(FLOAT64)).spread
    )
    assert 0.99 * size < ratio[0] < 1.01 * size
