"""The update rules against plain float64 loops written from the papers and the documentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_references import REFERENCES, Reference

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.case import Batch, Case, Realisation, frozen
from invariants.generate.choice import Drawn
from invariants.generate.optimizers import draw_optimizer
from invariants.objective import Term
from invariants.optimizer import SGD, Adam, AdamW, Lamb, NAdam
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.oracle.interpreter import expect
from invariants.oracle.optimizers import RULES, TOGETHER, Slots, step
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Rounding, deviation, estimate
from invariants.program import Freeze, Step, Thaw

Array = np.ndarray


def test_every_rule_has_a_reference_for_every_contract() -> None:
    offered = {(name, kind) for name, c in CONTRACTS.items() for kind in c["optimizers"]}
    assert set(REFERENCES) == {(name, kind) for name, kind in offered if kind not in TOGETHER}
    assert {kind for _, kind in offered} == {*RULES, *TOGETHER}


def drawn(data: st.DataObject, backend: str, kind: str) -> Any:
    """An optimizer as the generator draws them for one backend."""
    return draw_optimizer(Drawn(data.draw, [CONTRACTS[backend]]), kind)


def assert_agrees(observed: Array, expected: Any, what: str) -> None:
    away = deviation(observed, expected)
    assert np.all(away.spreads <= LAMBDA), f"{what}: {away.spreads.max():.3g} spreads away"


@pytest.mark.parametrize(("backend", "kind"), REFERENCES)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**16), steps=st.integers(1, 6))
def test_a_rule_follows_its_paper_step_by_step(
    backend: str, kind: str, data: st.DataObject, seed: int, steps: int
) -> None:
    optimizer = drawn(data, backend, kind)
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


@pytest.mark.parametrize("kind", [Adam, AdamW, NAdam, Lamb])
def test_a_beta_that_is_1_in_bfloat16_counts_unless_an_issue_says_that_it_stops(kind: Any) -> None:
    def moved(precision: str, contract: Contract) -> Any:
        rounding = Rounding(PRECISIONS[precision])
        w, g = np.array([[0.0625]]), np.array([[0.5]])
        after, _ = step(kind(beta_2=0.999), contract, rounding, w, g, {}, 1)
        return estimate(after, rounding)

    documented = CONTRACTS["tensorflow"]
    wide, narrow = (moved(precision, documented) for precision in ("float64", "bfloat16"))
    assert np.isfinite(narrow.spread).all()
    assert_agrees(wide.value, narrow, "the same step in bfloat16")
    assert (np.abs(narrow.value - 0.0625) > LAMBDA * narrow.spread).all()
    stops = documented.as_if({"beta_that_rounds_to_1": "stops"})
    assert np.isinf(moved("bfloat16", stops).spread).all()
    assert np.isfinite(moved("float32", stops).spread).all()


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
        realisations={backend: Realisation(CONTRACTS[backend].modes[0].name, ways, options)},
    ).check()


@pytest.mark.parametrize(("backend", "kind"), REFERENCES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_weight_that_was_frozen_goes_on_with_its_slots_and_step_count(
    backend: str, kind: str, data: st.DataObject
) -> None:
    """torch counts the updates of each parameter, Keras the steps of the optimizer."""
    optimizer = drawn(data, backend, kind)
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
