"""Vectors shorter than the eps of a normalisation: their length counts as that, a constant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import torch_case

from invariants.architecture.layers.base import ShapeError, Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.grouping import UnitNormalization
from invariants.case import Case, frozen
from invariants.judge import judge
from invariants.oracle.interpreter import expect
from invariants.program import Gradient

#: Exact in binary; on either side of the eps of torch's normalize, 1e-12.
SHORT, LONG = 2.0**-50, 2.0**-30


def case_of(size: float) -> Case:
    """A dense layer that maps to vectors of about `size`, and one behind their normalisation."""
    case = torch_case((Dense(units=2), UnitNormalization(), Dense(units=1)), (Gradient(0),))
    weights = {
        name: frozen(array * size if name.startswith("dense_0.") else array)
        for name, array in case.weights.items()
    }
    return replace(case, weights=weights, dtype="float64")


@pytest.mark.parametrize("size", [SHORT, LONG])
def test_both_sides_of_eps_are_as_torch_has_them(size: float) -> None:
    assert not judge(case_of(size), "torch").violations


def test_below_eps_a_vector_keeps_its_length() -> None:
    """The gradient to a kernel behind it is in proportion to what it is given."""
    short, longer = (
        expect(case_of(size), "torch").points[0].gradients["dense_2.kernel"].value
        for size in (SHORT, LONG)
    )
    assert np.abs(short).max() < 0.01 * np.abs(longer).max()


def test_an_axis_that_a_value_lacks_is_named() -> None:
    layer = UnitNormalization(axes=(-2, -3))
    assert layer.output([Spec((2, 3, 4))]) == Spec((2, 3, 4))
    with pytest.raises(ShapeError, match="no axis -3"):
        layer.output([Spec((3, 4))])
