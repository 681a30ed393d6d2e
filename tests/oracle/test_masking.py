"""Which elements a mask holds, and what is left of a gradient and of a step."""

from __future__ import annotations

import numpy as np

from invariants.backends.source import NativeParameter
from invariants.oracle.masking import held_part, kept, masked


def test_every_second_element_is_held_and_the_only_one_is() -> None:
    assert held_part(np.zeros((2, 3)), None).tolist() == [[True, False, True], [False, True, False]]
    assert held_part(np.zeros(1), None).tolist() == [True]


def test_elements_are_counted_as_the_framework_lays_them_out() -> None:
    turned = NativeParameter("weight", axes=(1, 0), shape=(2, 4))
    assert held_part(np.zeros((2, 4)), turned).tolist() == [[True] * 4, [False] * 4]


def test_the_mask_makes_zeros_and_leaves_the_rest_to_the_bit() -> None:
    gradients = {"a": np.array([[0.1, 0.2]]), "b": np.array([[0.3]])}
    left = masked(gradients, {"a": np.array([True, False])})
    assert left["a"].tolist() == [[0.0, 0.2]]
    assert left["b"] is gradients["b"]


def test_what_no_step_moves_is_known_to_the_bit_and_what_it_does_is_not() -> None:
    before = np.array([[1.0, 2.0, 3.0]])
    after = np.array([[1.0, 2.5, 3.0], [1.0 + 1e-7, 2.5 + 1e-7, 3.0 + 1e-7]])
    result = kept(before, after, np.array([True, True, False]))
    assert result[:, 0].tolist() == [1.0, 1.0]
    assert result[:, 1:].tolist() == after[:, 1:].tolist()
