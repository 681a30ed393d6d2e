"""The oracle against the package `autograd` and a second implementation of every layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from autograd import value_and_grad
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from independent_layers import LAYER_FORWARDS, LOSS_FORWARDS, Network

from invariants.architecture.layers import LAYERS
from invariants.case import Case, unsupported
from invariants.generate.cases import cases
from invariants.optimizer import LBFGS
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.interpreter import expect
from invariants.oracle.losses import LOSSES
from invariants.oracle.rounding import LAMBDA, deviation
from invariants.program import Freeze, Gradient, Learning, Step, Thaw


def test_every_layer_and_every_loss_has_a_second_implementation() -> None:
    assert set(LAYER_FORWARDS) == set(LAYERS)
    assert set(LOSS_FORWARDS) == set(LOSSES)


def predictable(case: Case, backend: str, ways: tuple[str | None, ...], **changes: Any) -> Case:
    """`case` in float64, with dropout in inference mode, in a mode that shows all gradients."""
    training = case.training and not case.architecture.stochastic
    way = replace(case.realisations[backend], mode=CONTRACTS[backend].modes[0].name, ways=ways)
    changes |= {"realisations": {backend: way}, "clip": None}
    changes |= {"schedule": None, "average": None}
    return replace(case, dtype="float64", training=training, **changes)


def up_to_the_first_gradient(case: Case, backend: str) -> Case:
    """The freezing and thawing before the first gradient or step of `case`, and that on a batch.

    A step of one iteration: of several it has the gradients of the last.
    """
    realisation = case.realisations[backend]
    if isinstance(case.optimizer, LBFGS):
        case = replace(case, optimizer=replace(case.optimizer, iterations=1, evaluations=None))
    first = next(n for n, action in enumerate(case.program) if isinstance(action, Learning))
    action: Any = case.program[first]
    kept = [n for n in range(first) if isinstance(case.program[n], Freeze | Thaw)]
    last = replace(action, more=()) if isinstance(action, Step) else action
    ways = tuple(realisation.ways[n] for n in (*kept, first))
    return predictable(case, backend, ways, program=(*(case.program[n] for n in kept), last))


def unfrozen(case: Case, backend: str) -> Case:
    """`case` reduced to one gradient by everything that has one: a layer may freeze a weight."""
    way = CONTRACTS[backend].ways[0].name
    program = (Thaw(""), Gradient(0))
    return predictable(case, backend, (way, None), program=program, input_gradient=True)


def compare(case: Case, backend: str, point: ExpectedPoint) -> None:
    """The first recorded point of `case`: its weights are those that the case starts from."""
    action: Any = case.program[point.action]
    network = Network(case, backend, action.batch, point.flags.flagged, frozen=point.flags.frozen)
    loss, gradients = value_and_grad(network.loss)(network.leaves())
    assume(np.isfinite(loss))  # the cosine of a vector of zeros
    network.loss(network.leaves())
    observed = {"loss": np.asarray(loss)}
    for name in point.gradients:
        held = point.masked.get(name, np.False_)
        observed[f"d loss / d {name}"] = np.where(held, 0.0, gradients[name])
    rewritten = point.rewritten - set(point.updates)  # what a step has moved since
    observed |= {name: network.state[name] for name in (*point.state, *rewritten)}
    expected: dict[str, Any] = {"loss": point.loss}
    expected |= {f"d loss / d {name}": e for name, e in point.gradients.items()}
    expected |= point.state
    expected |= {name: point.weights[name] for name in rewritten}
    for name, estimate in expected.items():
        value = estimate.value.reshape(observed[name].shape)
        estimate = replace(estimate, value=value, spread=estimate.spread.reshape(value.shape))
        away = deviation(observed[name], estimate)
        assert np.all(away.spreads <= LAMBDA), (
            f"{name} at {away.worst} of {case!r}: autograd {observed[name][away.worst]!r}, "
            f"oracle {value[away.worst]!r}, {away.spreads.max():.3g} spreads away"
        )


@pytest.mark.parametrize("backend", CONTRACTS)
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_an_unrelated_differentiator_finds_the_same_gradients(backend: str, case: Case) -> None:
    case = unfrozen(case, backend)
    (point,) = expect(case, backend).points
    assume(point.loss is not None)  # a state that goes by an order of calls that is not known
    assert set(case.architecture.weights) & case.reached <= set(point.gradients)
    assert set(case.architecture.weights) - case.reached <= point.idle
    compare(case, backend, point)


def lacked_elsewhere(backend: str) -> set[str]:
    """The kinds of layers that no case for all backends holds, and this backend has."""
    lacking = {kind for contract in CONTRACTS.values() for kind in contract.lacks}
    return lacking - set(CONTRACTS[backend].lacks)


@pytest.mark.parametrize(
    ("backend", "kind"), [(b, kind) for b in CONTRACTS for kind in sorted(lacked_elsewhere(b))]
)
@pytest.mark.parametrize("whole", [True, False])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nor_do_layers_of_one_backend_differ(
    backend: str, kind: str, whole: bool, data: st.DataObject
) -> None:
    """whole: by everything that has a gradient; else under the case's own first mask."""
    case = data.draw(cases((backend,), layer=kind))
    assume(any(placed.layer.kind == kind for placed in case.architecture.layers))
    case = unfrozen(case, backend) if whole else up_to_the_first_gradient(case, backend)
    point = expect(case, backend).points[0]
    assume(point.raises is None and point.loss is not None)
    compare(case, backend, point)


@pytest.mark.parametrize("backend", CONTRACTS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nor_do_options_of_one_backend_differ(backend: str, data: st.DataObject) -> None:
    case = data.draw(cases((backend,)))
    others = [contract for name, contract in CONTRACTS.items() if name != backend]
    layers = [placed.layer for placed in case.architecture.layers if placed.layer.needs()]
    assume(any(unsupported(layer, other) for layer in layers for other in others))
    case = unfrozen(case, backend)
    (point,) = expect(case, backend).points
    assume(point.raises is None and point.loss is not None)
    compare(case, backend, point)


@pytest.mark.parametrize("backend", CONTRACTS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_a_mask_leaves_the_chain_rule_as_it_is(backend: str, case: Case) -> None:
    case = up_to_the_first_gradient(case, backend)
    point = expect(case, backend).points[0]
    assume(point.raises is None and point.loss is not None)
    compare(case, backend, point)
