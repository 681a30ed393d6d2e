"""Where a second derivative jumps, at 0, it is as contracted; and in a tail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import torch_case

from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import Celu, Elu, LogSigmoid, Selu, Softsign
from invariants.architecture.layers.dense import Dense
from invariants.case import frozen
from invariants.judge import judge
from invariants.program import Gradient


@pytest.mark.parametrize(
    "layer", [Elu(alpha=1.0), Elu(alpha=0.5), Selu(), Celu(alpha=0.5), Softsign()], ids=repr
)
def test_a_gradient_of_a_gradient_through_a_zero_is_as_contracted(layer: AnyLayer) -> None:
    case = torch_case(
        (Dense(units=2, use_bias=False), Dense(units=2), layer, Dense(units=1)), (Gradient(0),)
    )
    # Zero for the first sample, where the two kernels change it along themselves.
    kernels = case.weights["dense_0.kernel"] @ case.weights["dense_1.kernel"]
    bias = -case.batches[0].inputs[0][0] @ kernels
    case = replace(
        case,
        weights={**case.weights, "dense_1.bias": frozen(bias)},
        realisations={"torch": replace(case.realisations["torch"], mode="second_order")},
    ).check()
    assert not judge(case, "torch").findings


def test_a_slope_that_is_taken_from_one_loses_digits_where_it_nears_it() -> None:
    case = torch_case((Dense(units=2), LogSigmoid(), Dense(units=1)), (Gradient(0),))
    case = replace(
        case,
        weights={**case.weights, "dense_0.bias": frozen(np.array([18.0, 19.5]))},
        realisations={"torch": replace(case.realisations["torch"], mode="second_order")},
    ).check()
    assert not judge(case, "torch").findings
