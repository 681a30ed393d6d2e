"""Faults of Keras that one drawn case in dozens shows are found in a case that is made for them.

They take equal numbers with different gradients, a second moment that shrinks, an option that few
layers have. `invariants faults` finds them in drawn cases, in minutes; these take seconds.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from invariants import faults
from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.merging import Maximum
from invariants.architecture.layers.pooling import GlobalMaxPool2D, MaxPool2D
from invariants.architecture.layers.resizing import UpSampling2D
from invariants.architecture.layers.shaping import Flatten
from invariants.architecture.layers.skipping import MaskedGRU, MaskedLSTM
from invariants.backends import installed
from invariants.case import Batch, Case, Realisation, frozen
from invariants.judge import judge
from invariants.objective import Term
from invariants.optimizer import SGD, Adam, Optimizer, RMSprop
from invariants.program import Action, Compile, Freeze, Gradient, Step, Thaw

#: The second batch of a case is so many times smaller than the first.
SMALLER = 8


def _case(
    shape: tuple[int, ...],
    layers: tuple[AnyLayer, ...],
    *,
    nodes: tuple[Node, ...] = (),
    optimizer: Optimizer | None = None,
    program: tuple[Action, ...] = (Gradient(0),),
    vocabulary: int | None = None,
    accumulation: int = 1,
) -> Case:
    """A case on Keras, in float64: inputs are 0.5 and have gradients, weights are 1/8, 2/8, ...

    vocabulary: inputs are indices below it, 1, 2, ... and again from 0 on.
    """
    chain = tuple(Node(number, (number,)) for number in range(len(layers)))
    architecture = Architecture(
        (Spec(shape, vocabulary=vocabulary),), Block(members=layers, nodes=nodes or chain)
    )

    def weight(shape: tuple[int, ...]) -> np.ndarray:
        return frozen(np.arange(1, 1 + math.prod(shape)).reshape(shape) / 8)

    def batch(value: float) -> Batch:
        inputs = np.full((2, *shape), value)
        if vocabulary is not None:
            inputs = np.broadcast_to(np.arange(1, 1 + shape[0]) % vocabulary, inputs.shape)
        target = np.zeros((2, *architecture.outputs[0].shape))
        return Batch((frozen(inputs),), (frozen(target),), (None,))

    ways = tuple("layer_trainable" if isinstance(a, Freeze | Thaw) else None for a in program)
    options = {"optimizer_build": "ahead", "optimizer_call": "apply"}
    return Case(
        architecture=architecture,
        weights={name: weight(p.shape) for name, p in architecture.parameters.items()},
        batches=(batch(0.5), batch(0.5 / SMALLER)),
        program=program,
        optimizer=optimizer or SGD(),
        objective=(Term(),),
        dtype="float64",
        training=True,
        input_gradient=vocabulary is None,
        seed=0,
        accumulation=accumulation,
        realisations={"tensorflow": Realisation("tape", ways, options)},
    ).check()


_STEPS = (Step(0), Step(1), Step(1))
_ANOTHER_OPTIMIZER = (Step(0), Step(0), Compile(), Step(0))
_FROZEN_AT_AN_UPDATE = (Step(0), Freeze("dense_0"), Step(0), Thaw("dense_0"), Step(0), Step(0))
_TWICE_THE_SAME = (Node(0, (0,)), Node(1, (0,)), Node(2, (1, 2)), Node(3, (3,)))
#: Betas that float32 holds: what Keras makes of others in float64 is known, and hides what follows.
_ADAM = Adam(beta_1=0.875, beta_2=0.5)
_AMSGRAD = replace(_ADAM, amsgrad=True)
_BILINEAR = UpSampling2D(interpolation="bilinear")

#: fault -> a case that shows it, and the property that notices it.
RARE = {
    "max_pool_splits_ties": (
        _case((2, 2, 1), (MaxPool2D(), Flatten(), Dense(units=1))),
        "upstream_gradients",
    ),
    "global_max_takes_first": (
        _case((2, 2, 1), (GlobalMaxPool2D(), Dense(units=1))),
        "upstream_gradients",
    ),
    "maximum_splits_ties": (
        _case(
            (2,),
            (Dense(units=2), Dense(units=2), Maximum(), Dense(units=1)),
            nodes=_TWICE_THE_SAME,
        ),
        "upstream_gradients",
    ),
    "interpolation_takes_nearest": (
        _case((2, 2, 1), (_BILINEAR, Flatten(), Dense(units=1))),
        "upstream_gradients",
    ),
    "skipped_steps_drift": (
        _case(
            (3,),
            (MaskedGRU(return_sequences=True, levels=2), Flatten(), Dense(units=1)),
            vocabulary=2,
        ),
        "upstream_gradients",
    ),
    "lstm_mask_forgotten": (
        _case((3,), (MaskedLSTM(ends=2, levels=2), Dense(units=1)), vocabulary=2),
        "upstream_gradients",
    ),
    "amsgrad_forgets": (
        _case((2,), (Dense(units=1),), optimizer=_AMSGRAD, program=_STEPS),
        "training_trajectory",
    ),
    "count_outlives_its_optimizer": (
        _case((2,), (Dense(units=1),), optimizer=_ADAM, program=_ANOTHER_OPTIMIZER),
        "training_trajectory",
    ),
    "sums_outlive_an_update": (
        _case(
            (2,),
            (Dense(units=2), Dense(units=1)),
            program=_FROZEN_AT_AN_UPDATE,
            accumulation=2,
        ),
        "training_trajectory",
    ),
    "rmsprop_uncentered": (
        _case((2,), (Dense(units=1),), optimizer=RMSprop(centered=True), program=_STEPS),
        "training_trajectory",
    ),
}


@pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")
@pytest.mark.parametrize("name", RARE)
def test_a_fault_that_cases_rarely_show_is_found(name: str) -> None:
    case, property_ = RARE[name]
    fault = next(fault for fault in faults.of("tensorflow") if fault.name == name)
    with fault.apply():
        found = {finding.property_ for finding in judge(case, "tensorflow").violations}
    assert property_ in found, f"{property_} did not notice: {fault.sentence}"
    assert not judge(case, "tensorflow").violations
