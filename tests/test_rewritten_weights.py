"""A weight that a layer's forward pass itself rewrites: Keras's SpectralNormalization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import Array, chain, point_of, since

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.spectral import SpectralNormalizationDense
from invariants.backends import installed
from invariants.case import Batch, Case, Realisation
from invariants.case import frozen as fixed
from invariants.judge import gather, judge
from invariants.objective import Term
from invariants.optimizer import SGD
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.interpreter import expect
from invariants.program import Action, Freeze, Gradient, Step, Thaw
from invariants.properties import findings

LAYER = "spectral_normalization_dense_1"
KERNEL = f"{LAYER}.kernel"

on_tensorflow = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def keras_case(
    program: tuple[Action, ...], *, way: str = "layer_trainable", **changes: str
) -> Case:
    """A wrapped dense layer between two plain ones, in float64 and training mode."""
    architecture = Architecture(
        (Spec((3,)),),
        chain(Dense(units=3), SpectralNormalizationDense(units=2), Dense(units=1)),
    )
    rng = np.random.default_rng(3)

    def drawn(*shape: int) -> Array:
        return fixed(rng.integers(16, 64, size=shape) / 64)

    options = {"optimizer_build": "ahead", "optimizer_call": "apply", **changes}
    ways = tuple(way if isinstance(action, Freeze | Thaw) else None for action in program)
    return Case(
        architecture=architecture,
        weights={name: drawn(*p.shape) for name, p in architecture.parameters.items()},
        batches=(Batch((drawn(4, 3),), (drawn(4, 1),), (None,)),),
        program=program,
        realisations={"tensorflow": Realisation("tape", ways, options)},
        optimizer=SGD(momentum=0.5),
        objective=(Term(),),
        dtype="float64",
        training=True,
        input_gradient=False,
        seed=0,
    ).check()


def points(case: Case, rewritten: str = "unless_frozen") -> tuple[ExpectedPoint, ...]:
    contract = CONTRACTS["tensorflow"].as_if({"spectral_kernel_rewritten": rewritten})
    return expect(case, "tensorflow", contract).points


def over_its_size(kernel: Array, u: Array) -> Array:
    """kernel / σ after one step of the power iteration."""
    v = kernel @ u
    v = v / np.sqrt(v @ v)
    u = kernel.T @ v
    return np.asarray(kernel / (v @ kernel @ (u / np.sqrt(u @ u))))


def test_a_gradient_alone_rewrites_a_trainable_kernel() -> None:
    case = keras_case((Gradient(0),))
    (point,) = points(case)
    assert point.rewritten == {KERNEL}
    expected = over_its_size(case.weights[KERNEL], case.weights[f"{LAYER}.vector_u"])
    assert np.abs(point.weights[KERNEL].value - expected).max() < 1e-14


@pytest.mark.parametrize(
    ("target", "way"),
    [
        (LAYER, "layer_trainable"),
        (LAYER, "each_variable"),
        (KERNEL, "variable_trainable"),
        ("", "layer_trainable"),
    ],
)
def test_a_frozen_kernel_is_not_to_be_rewritten_however_it_was_frozen(
    target: str, way: str
) -> None:
    case = keras_case((Freeze(target), Gradient(0)), way=way)
    (point,) = points(case)
    assert point.rewritten == frozenset()
    assert KERNEL not in point.weights
    (as_it_is,) = points(case, "always")
    assert as_it_is.rewritten == {KERNEL}


def test_nothing_is_rewritten_in_inference_mode() -> None:
    case = replace(keras_case((Gradient(0),)), training=False)
    (point,) = points(case, "always")
    assert point.rewritten == frozenset()


@on_tensorflow
def test_keras_rewrites_a_trainable_kernel_as_documented() -> None:
    verdict = judge(keras_case((Gradient(0), Step(0), Gradient(0))), "tensorflow")
    assert verdict.findings == ()


@on_tensorflow
def test_a_step_that_raises_has_rewritten_the_kernel_too() -> None:
    """Keras raises at a weight that its optimizer does not know, after the forward pass."""
    program = (
        Freeze("dense_2"),
        Step(0),
        Thaw("dense_2"),
        Step(0),
        Freeze("dense_2"),
        Freeze(KERNEL),
    )
    case = keras_case((*program[:5], Gradient(0)), optimizer_build="first_step")
    verdict = judge(case, "tensorflow")
    assert [p.raises is not None for p in verdict.evidence.expectation.points] == [0, 1, 0]
    assert verdict.findings == ()


@on_tensorflow
def test_a_kernel_rewritten_to_something_else_is_found() -> None:
    evidence = gather(keras_case((Gradient(0), Gradient(0))), "tensorflow")
    kernel = point_of(evidence.observation, 0).weights[KERNEL]
    assert findings(evidence) == []
    spoilt = since(evidence, 0, KERNEL, lambda array: array * (1 + 1e-6))
    first = next(f for f in findings(spoilt) if f.property_ == "frozen_weights")
    assert (first.action, first.subject, first.relation) == (0, KERNEL, "within")
    assert first.got in (kernel * (1 + 1e-6)).ravel()


@on_tensorflow
@pytest.mark.parametrize("way", ["layer_trainable", "each_variable"])
def test_a_frozen_kernel_that_moves_is_found_and_known(way: str) -> None:
    case = keras_case((Freeze(LAYER), Gradient(0), Step(0), Gradient(0)), way=way)
    bare = judge(case, "tensorflow", ignore_known_issues=True)
    moved = [f for f in bare.violations if f.property_ == "frozen_weights"]
    assert {f.subject for f in moved} == {KERNEL}
    assert all(f.relation == "same_bits" for f in moved)
    verdict = judge(case, "tensorflow")
    assert not verdict.violations
    assert {f.issue for f in verdict.findings} == {"keras-spectral-normalization-moves-frozen"}


@on_tensorflow
def test_another_change_of_a_frozen_kernel_is_not_explained_by_it() -> None:
    from invariants.ledger import applying, label

    evidence = gather(keras_case((Freeze(LAYER), Gradient(0))), "tensorflow")
    spoilt = since(evidence, 1, KERNEL, lambda array: array * (1 + 1e-6))
    labelled = label(findings(spoilt), spoilt, applying("tensorflow"))
    assert (KERNEL, "violation") in {(f.subject, f.severity) for f in labelled}
