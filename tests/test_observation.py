"""Two arrays are the same when their bits are, and a record is found by its action."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from invariants.observation import Observation, ObservedPoint, same_bits

DTYPES = ("float32", "float64", "int64")

arrays = st.builds(
    lambda values, dtype: np.array(values, np.float32).astype(dtype),
    st.lists(st.integers(-4, 4), min_size=1, max_size=6),
    st.sampled_from(DTYPES),
)


@given(arrays)
def test_an_array_has_the_bits_of_its_copy(array: np.ndarray) -> None:
    assert same_bits(array, array.copy())


@given(arrays, st.data())
def test_one_other_bit_makes_other_bits(array: np.ndarray, data: st.DataObject) -> None:
    other = bytearray(array.tobytes())
    bit = data.draw(st.integers(0, 8 * len(other) - 1))
    other[bit // 8] ^= 1 << bit % 8
    assert not same_bits(array, np.frombuffer(bytes(other), array.dtype))


@given(arrays, st.sampled_from(DTYPES))
def test_equal_numbers_of_another_dtype_are_other_bits(array: np.ndarray, dtype: str) -> None:
    assume(array.dtype != dtype)
    assert np.array_equal(array, array.astype(dtype))
    assert not same_bits(array, array.astype(dtype))


def test_the_same_bytes_of_another_dtype_are_other_bits() -> None:
    zeros = np.zeros(2)
    assert not same_bits(zeros, zeros.view(np.int64))


@given(arrays)
def test_the_same_bytes_in_another_shape_are_other_bits(array: np.ndarray) -> None:
    assert not same_bits(array, array[None])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_is_itself_and_zero_is_not_minus_zero(dtype: str) -> None:
    nan, zero = np.full(2, np.nan, dtype), np.zeros(2, dtype)
    assert same_bits(nan, nan.copy())
    assert not same_bits(zero, -zero)


def test_the_layout_in_memory_is_no_difference() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert same_bits(array, np.asfortranarray(array))


def test_a_point_is_found_by_its_action_and_not_by_its_place() -> None:
    first, later = ObservedPoint(-1, {}), ObservedPoint(3, {})
    observation = Observation("torch", (first, later), {}, {})
    assert observation.at(3) is later
    assert observation.at(-1) is first
    assert observation.at(1) is None
