"""A small case that tests start from, and a framework that is broken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.activations import Relu
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.backends.places import Apart
from invariants.case import Batch, Case, Realisation, frozen
from invariants.objective import Term
from invariants.optimizer import SGD
from invariants.program import Freeze, Gradient, Step, Thaw

#: A patch of torch: no gradient passes a frozen nn.Linear.
BLOCKING = """
import torch

linear = torch.nn.functional.linear


def forward(self, x):
    y = linear(x, self.weight, self.bias)
    return y if self.weight.requires_grad else y.detach() + 0 * x.sum()


torch.nn.Linear.forward = forward
"""


@contextmanager
def apart_in(variable: str, release: str) -> Iterator[Apart]:
    """Where scripts run in an older release: the Python that an environment variable names."""
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python that has {release}")
    apart = Apart(python)
    yield apart
    apart.close()


def simple_case() -> Case:
    """dense, relu, dense, dense: the middle frozen, a gradient, a step, thawed, a gradient."""
    architecture = Architecture(
        (Spec((3,)),),
        Block(
            members=(Dense(units=2), Relu(), Dense(units=2), Dense(units=1)),
            nodes=(Node(0, (0,)), Node(1, (1,)), Node(2, (2,)), Node(3, (3,))),
        ),
    )
    rng = np.random.default_rng(5)
    program = (Freeze("dense_2"), Gradient(0), Step(0), Thaw("dense_2"), Gradient(0))
    ways = {"torch": "requires_grad_", "tensorflow": "layer_trainable"}
    options = {
        "torch": {"optimizer_loop": "for-loop"},
        "tensorflow": {"optimizer_build": "ahead", "optimizer_call": "apply"},
    }
    modes = {"torch": "eager", "tensorflow": "tape"}
    return Case(
        architecture=architecture,
        weights={
            name: frozen(rng.integers(-64, 64, size=p.shape) / 64)
            for name, p in architecture.parameters.items()
        },
        batches=(
            Batch(
                (frozen(rng.integers(-64, 64, size=(4, 3)) / 64),),
                (frozen(rng.integers(-64, 64, size=(4, 1)) / 64),),
                (None,),
            ),
        ),
        program=program,
        optimizer=SGD(momentum=0.5),
        objective=(Term(),),
        dtype="float32",
        training=True,
        input_gradient=False,
        seed=0,
        realisations={
            name: Realisation(
                modes[name],
                tuple(way if isinstance(a, Freeze | Thaw) else None for a in program),
                options[name],
            )
            for name, way in ways.items()
        },
    ).check()
