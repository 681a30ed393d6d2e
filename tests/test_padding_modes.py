"""What goes around a value of torch's convolutions: zeros, or elements of the value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from invariants.architecture.layers.base import ShapeError, Spec
from invariants.architecture.layers.convolution import Conv1D, Conv2D
from invariants.architecture.layers.depthwise import SeparableConv1D
from invariants.architecture.layers.volumes import Conv3D
from invariants.case import CaseError
from invariants.generate.smallest import small_case
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS

MODES = CONTRACTS["torch"]["padding_modes"]

#: Over one, two and three axes, with as many elements around as can be mirrored, and by a rule.
LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (Conv1D(kernel_size=2, strides=2, padding=2), (3, 4)),
    (Conv1D(kernel_size=2, padding="same", dilation=3), (4, 2)),
    (Conv2D(kernel_size=(2, 3), strides=(1, 2), padding=(3, 1)), (4, 2, 2)),
    (Conv3D(kernel_size=(2, 1, 2), strides=(2, 1, 1), padding=(1, 0, 1)), (2, 2, 2, 2)),
    (SeparableConv1D(kernel_size=3, padding=1), (2, 2)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("mode", MODES)
def test_gradients_come_back_from_what_goes_around(mode: str, dtype: Any) -> None:
    pytest.importorskip("torch")
    for layer, shape in LAYERS:
        case = small_case(replace(layer, padding_mode=mode), [Spec(shape)], "torch", dtype)
        verdict = judge(case, "torch")
        assert verdict.findings == ()
        assert verdict.measures.elements > 0


@pytest.mark.parametrize(
    ("mode", "padding", "words"),
    [
        ("reflect", (3, 0), "3 elements around 3 cannot be of 'reflect'"),
        ("circular", (0, 4), "4 elements around 3 cannot be of 'circular'"),
        ("replicate", "valid", "padding 'valid' is one with zeros"),
        ("circular", "same", "padding 'same' is one with zeros"),
    ],
)
def test_padding_that_does_not_fit_is_named(mode: Any, padding: Any, words: str) -> None:
    layer = Conv2D(strides=(2, 2), padding=padding, padding_mode=mode)
    with pytest.raises(ShapeError, match=words):
        layer.output([Spec((3, 3, 1))])


def test_keras_pads_with_zeros_alone() -> None:
    layer = Conv2D(kernel_size=(3, 3), padding="same", padding_mode="reflect")
    with pytest.raises(CaseError, match="padding_modes"):
        small_case(layer, [Spec((3, 3, 1))], "tensorflow", "float32")
