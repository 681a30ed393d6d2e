"""A cast rounds to the nearest number of another format."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from invariants.oracle.casting import cast, formats, nearest
from invariants.oracle.contract import TENSORFLOW, TORCH
from invariants.oracle.rounding import PRECISIONS, SAMPLES, Rounding

FORMATS = {
    "float64": np.float64,
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_nearest_number_is_that_of_numpy(name: str) -> None:
    rng = np.random.default_rng(5)
    sizes = 2.0 ** rng.uniform(-160, 130, size=4000)
    numbers = np.concatenate([rng.standard_normal(4000), sizes, -sizes, [0.0, 65519.9, 65520.0]])
    with np.errstate(over="ignore"):
        expected = numbers.astype(FORMATS[name]).astype(np.float64)
    assert np.array_equal(nearest(numbers, PRECISIONS[name]), expected)


def test_torch_goes_from_float64_to_16_bits_by_way_of_float32() -> None:
    number = np.array([1.0 + 2.0**-11 + 2.0**-40])
    through = formats("float64", "float16", TORCH)
    assert through == ("float32", "float16")
    assert formats("float32", "float16", TORCH) == ("float16",)
    assert formats("float64", "float16", TENSORFLOW) == ("float16",)
    rounding = Rounding(PRECISIONS["float16"])
    assert cast(number[None], through, rounding).tolist() == [[1.0]]
    assert cast(number[None], ("float16",), rounding).tolist() == [[1.0 + 2.0**-10]]


def test_what_is_known_to_the_bit_stays_so_and_what_is_not_is_spread() -> None:
    samples = np.full((SAMPLES + 1, 3), 1.0 / 3.0)
    samples[1:, 1] += 1e-16
    samples[:, 2] = 40000.0
    samples[1:, 2] += 1e-9
    result = cast(samples, ("float16",), Rounding(PRECISIONS["float16"]))
    assert np.unique(result[:, 0]).tolist() == [float(np.float16(1.0 / 3.0))]
    assert np.ptp(result[:, 1]) > 2.0**-13
    assert np.isnan(result[:, 2]).all()
