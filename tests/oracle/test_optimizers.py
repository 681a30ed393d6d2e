"""The update rules against plain float64 loops written from the papers and the documentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.case import Batch, Case, Realisation, frozen
from invariants.objective import Term
from invariants.optimizer import SGD, Adam, AdamW
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.oracle.optimizers import RULES, Slots, step
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Rounding, deviation, estimate
from invariants.program import Freeze, Step, Thaw

Array = np.ndarray


@dataclass
class Reference:
    """One weight and what its optimizer remembers of it."""

    optimizer: Any
    w: Array
    memory: dict[str, Array] = field(default_factory=dict)

    def remembered(self, name: str) -> Array:
        return self.memory.get(name, np.zeros_like(self.w))


def torch_sgd(r: Reference, g: Array, t: int) -> None:
    """torch.optim.SGD's algorithm box: λθ joins the gradient, the first velocity is g."""
    o = r.optimizer
    g = g + o.weight_decay * r.w
    if o.momentum != 0.0:
        g = o.momentum * r.memory["b"] + g if "b" in r.memory else g
        r.memory["b"] = g
    r.w = r.w - o.learning_rate * g


def keras_sgd(r: Reference, g: Array, t: int) -> None:
    """keras.optimizers.SGD: decay first and apart, then velocity = μ·velocity - lr·g."""
    o = r.optimizer
    r.w = r.w - o.learning_rate * o.weight_decay * r.w
    velocity = o.momentum * r.remembered("velocity") - o.learning_rate * g
    r.memory["velocity"] = velocity
    r.w = r.w + velocity


def moments(r: Reference, g: Array) -> tuple[Array, Array]:
    o = r.optimizer
    r.memory["m"] = o.beta_1 * r.remembered("m") + (1.0 - o.beta_1) * g
    r.memory["v"] = o.beta_2 * r.remembered("v") + (1.0 - o.beta_2) * g * g
    return r.memory["m"], r.memory["v"]


def torch_adam(r: Reference, g: Array, t: int) -> None:
    """Algorithm 1 of arXiv 1412.6980."""
    o = r.optimizer
    m, v = moments(r, g)
    corrected, second = m / (1.0 - o.beta_1**t), v / (1.0 - o.beta_2**t)
    r.w = r.w - o.learning_rate * corrected / (np.sqrt(second) + o.epsilon)


def keras_adam(r: Reference, g: Array, t: int) -> None:
    """The formula before Section 2.1 there, with ε hat."""
    o = r.optimizer
    m, v = moments(r, g)
    rate = o.learning_rate * math.sqrt(1.0 - o.beta_2**t) / (1.0 - o.beta_1**t)
    r.w = r.w - rate * m / (np.sqrt(v) + o.epsilon)


def decoupled(adam: Callable[[Reference, Array, int], None]) -> Callable[..., None]:
    """arXiv 1711.05101: the weight shrinks by lr·λ of itself, untouched by the moments."""

    def update(r: Reference, g: Array, t: int) -> None:
        r.w = r.w * (1.0 - r.optimizer.learning_rate * r.optimizer.weight_decay)
        adam(r, g, t)

    return update


REFERENCES: dict[tuple[str, str], Callable[[Reference, Array, int], None]] = {
    ("torch", "sgd"): torch_sgd,
    ("torch", "adam"): torch_adam,
    ("torch", "adamw"): decoupled(torch_adam),
    ("tensorflow", "sgd"): keras_sgd,
    ("tensorflow", "adam"): keras_adam,
    ("tensorflow", "adamw"): decoupled(keras_adam),
}


def test_every_rule_has_a_reference_for_every_contract() -> None:
    assert set(REFERENCES) == {(backend, kind) for backend in CONTRACTS for kind in RULES}


rates = st.sampled_from((0.125, 0.01, 0.0078125))
decays = st.sampled_from((0.0, 0.0625, 0.3))
OPTIMIZERS: dict[str, st.SearchStrategy[Any]] = {
    "sgd": st.builds(
        SGD,
        learning_rate=rates,
        momentum=st.sampled_from((0.0, 0.5, 0.9)),
        weight_decay=decays,
    ),
    "adam": st.builds(Adam, learning_rate=rates, epsilon=st.sampled_from((1e-7, 1e-3))),
    "adamw": st.builds(
        AdamW, learning_rate=rates, weight_decay=decays, epsilon=st.sampled_from((1e-7, 1e-3))
    ),
}


def assert_agrees(observed: Array, expected: Any, what: str) -> None:
    away = deviation(observed, expected)
    assert np.all(away.spreads <= LAMBDA), f"{what}: {away.spreads.max():.3g} spreads away"


@pytest.mark.parametrize(("backend", "kind"), REFERENCES)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**16), steps=st.integers(1, 6))
def test_a_rule_follows_its_paper_step_by_step(
    backend: str, kind: str, data: st.DataObject, seed: int, steps: int
) -> None:
    optimizer = data.draw(OPTIMIZERS[kind])
    rng = np.random.default_rng(seed)
    reference = Reference(optimizer, rng.normal(size=(2, 3)))
    rounding = Rounding(PRECISIONS["float64"])
    weight, slots = reference.w[None], Slots()
    for t in range(1, steps + 1):
        g = rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-4, 2)
        weight, slots = step(optimizer, CONTRACTS[backend], rounding, weight, g[None], slots, t)
        REFERENCES[backend, kind](reference, g, t)
        assert_agrees(reference.w, estimate(weight, rounding), f"step {t} of {optimizer}")


def test_the_two_contracts_differ_where_they_say_so() -> None:
    """Otherwise one reference could stand for both and nobody would see it."""
    g, w = np.array([[0.5]]), np.array([[1.0]])
    for optimizer in (SGD(momentum=0.5, weight_decay=0.25), Adam(epsilon=1e-2)):
        ends = []
        for contract in CONTRACTS.values():
            weight, slots = w, Slots()
            for t in (1, 2):
                weight, slots = step(
                    optimizer, contract, Rounding(PRECISIONS["float64"]), weight, g, slots, t
                )
            ends.append(weight[0, 0])
        assert abs(ends[0] - ends[1]) > 1e-6


# --- frozen in between ---------------------------------------------------------------------------

#: The bias sits out the second step.
PROGRAM = (
    Step(0),
    Freeze("dense_0.bias"),
    Step(0),
    Thaw("dense_0.bias"),
    Step(0),
    Step(0),
)


def line_fit(optimizer: Any, backend: str) -> Case:
    way = {"torch": "tensor_requires_grad_", "tensorflow": "variable_trainable"}[backend]
    options = {option.name: option.values[0] for option in CONTRACTS[backend].options}
    ways = tuple(None if isinstance(action, Step) else way for action in PROGRAM)
    return Case(
        architecture=Architecture(
            (Spec((2,)),), Block(members=(Dense(units=1),), nodes=(Node(0, (0,)),))
        ),
        weights={
            "dense_0.kernel": frozen(np.array([[0.5], [-0.25]])),
            "dense_0.bias": frozen(np.array([1.0])),
        },
        batches=(
            Batch(
                (frozen(np.array([[1.0, 2.0], [-1.0, 0.5]])),),
                (frozen(np.array([[3.0], [0.5]])),),
                (None,),
            ),
        ),
        program=PROGRAM,
        optimizer=optimizer,
        objective=(Term(),),
        dtype="float64",
        training=True,
        input_gradient=False,
        seed=0,
        realisations={backend: Realisation(CONTRACTS[backend].modes[0], ways, options)},
    ).check()


@pytest.mark.parametrize(("backend", "kind"), REFERENCES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_weight_that_was_frozen_goes_on_with_its_slots_and_step_count(
    backend: str, kind: str, data: st.DataObject
) -> None:
    """torch counts the updates of each parameter, Keras the steps of the optimizer."""
    optimizer = data.draw(OPTIMIZERS[kind])
    case = line_fit(optimizer, backend)
    references = {name: Reference(optimizer, w) for name, w in case.weights.items()}
    updates = dict.fromkeys(references, 0)
    for steps, point in enumerate(expect(case, backend).points, start=1):
        trained = {"dense_0.kernel"} if steps == 2 else set(references)
        assert set(point.gradients) == set(point.weights) == set(point.updates) == trained
        for name in trained:
            updates[name] += 1
            before = references[name].w
            t = updates[name] if backend == "torch" else steps
            REFERENCES[backend, kind](references[name], point.gradients[name].value, t)
            assert_agrees(references[name].w, point.weights[name], f"{name}, step {steps}")
            moved = replace(
                point.updates[name], spread=point.updates[name].spread + point.weights[name].spread
            )
            assert_agrees(references[name].w - before, moved, f"update of {name}, step {steps}")
