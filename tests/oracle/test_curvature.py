"""The gradient of a gradient: against differences of gradients, and an unrelated differentiator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from autograd import grad, value_and_grad
from forging import torch_case
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from independent_layers import Network
from test_derivatives import ROWS, Row, difference, draw_arrays, off_the_grid

from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import LayerNorm
from invariants.case import Case, Realisation, frozen
from invariants.generate.cases import cases
from invariants.judge import judge
from invariants.objective import Term
from invariants.oracle.interpreter import expect
from invariants.oracle.primitives import PRIMITIVES
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Rounding, deviation
from invariants.oracle.tape import Tape
from invariants.program import Gradient

Array = np.ndarray


def gradient(name: str, row: Row, xs: list[Array], along: list[Array] | None = None) -> list[Array]:
    """That of Σ c·y², y the primitive of `xs` and c of 1, 2 and 3 in turn, by each of them.

    along: with half of its change in this direction added, in sample 0.
    """
    tape = Tape(Rounding(PRECISIONS["float64"]))
    values = [tape.constant(x.astype(np.float64)) for x in xs]
    # What second derivatives a kernel takes by another formula is another test's.
    params = row.params | ({"floor": 0.0} if name == "binary_likelihood" else {})
    y = tape.apply(name, *values, **params)
    counts = 1.0 + np.arange(y.data.size).reshape(y.data.shape) % 3
    total = (y.apply("square") * tape.constant(counts)).sum(tuple(range(-len(y.shape), 0)))
    moved = [i for i in range(len(xs)) if i not in row.constant]
    directions = {values[i].index: along[i] for i in moved} if along else None
    return [g[0] for g in tape.gradients(total, [values[i] for i in moved], along=directions)]


@pytest.mark.parametrize(
    ("name", "row"),
    [pytest.param(n, r, id=f"{n}-{i}") for n in ROWS for i, r in enumerate(ROWS[n])],
)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_a_primitive_bends_as_its_products_change(name: str, row: Row, data: st.DataObject) -> None:
    if name in ("unjudged_again", "differentiated_once"):
        return  # by design
    xs = draw_arrays(data, row)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    along = [rng.choice([-1.0, 0.5, 1.0], size=x.shape) for x in xs]
    first, both = gradient(name, row, xs), gradient(name, row, xs, along)

    def moved(step: float) -> list[Array]:
        shifted = [
            x if i in row.constant else x + step * v
            for i, (x, v) in enumerate(zip(xs, along, strict=True))
        ]
        return gradient(name, row, shifted)

    for place, (one, two) in enumerate(zip(first, both, strict=True)):
        size = np.abs(one).sum() + np.abs(two).sum()
        slope, bound = difference(
            lambda step, place=place: moved(step)[place], 2.0**-12, 2.0**-48 * size
        )
        assert (bound < 1e-5 * (1.0 + size)).all(), "the difference is too coarse to judge by"
        assert (np.abs(two - one - slope) <= bound).all()


def test_every_primitive_with_products_is_tried() -> None:
    curved = {name for name, row in PRIMITIVES.items() if any(row.vjps)}
    assert curved - {"unjudged"} <= {name for name, rows in ROWS.items() if rows}


def second_order(network: Network, leaves: dict[str, Any], by: set[str]) -> dict[str, Any]:
    """The gradient of the loss and half of its derivative along `by`, each along itself."""
    fixed = {name: np.array(leaves[name]) for name in by}

    def along(inner: dict[str, Any]) -> Any:
        loss, gradients = value_and_grad(network.loss)(inner)
        return loss + 0.5 * sum((gradients[name] * fixed[name]).sum() for name in sorted(by))

    return grad(along)(leaves)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(("torch",), mode="second_order"), seed=st.integers(0, 999))
def test_an_unrelated_differentiator_finds_the_same_gradient_of_a_gradient(
    case: Case, seed: int
) -> None:
    case = off_the_grid(case, seed)
    assume(case.reached & set(case.architecture.weights))
    # Its kernel keeps its distance from 0.
    assume(all(term.loss != "binary_likelihood" for term in case.objective))
    # What a lookup has rewritten is the direction, which the twin has from before the lookup.
    layers = (placed.layer for placed in case.architecture.layers)
    assume(all(getattr(layer, "max_norm", None) is None for layer in layers))
    realisation = replace(case.realisations["torch"], mode="second_order")
    case = replace(case, realisations={"torch": realisation})
    (point,) = expect(case, "torch").points
    network = Network(case, "torch", 0, point.flags.flagged, frozen=point.flags.frozen)
    leaves = network.leaves()
    found = second_order(network, leaves, set(point.gradients))
    for name, estimate in point.gradients.items():
        away = deviation(np.asarray(found[name]).reshape(estimate.value.shape), estimate)
        assert (away.spreads <= LAMBDA).all(), f"{name} of {case!r}: {away.spreads.max():.3g}"


@pytest.mark.parametrize(("dtype", "known"), [("float16", False), ("float32", True)])
def test_the_curvature_of_a_narrow_norm_is_unknown_where_float16_cannot_hold_a_cube(
    dtype: str, known: bool
) -> None:
    """Of a second derivative 1/σ³ is a factor: 3e7 where σ² is no more than ε."""
    case = torch_case((Dense(units=2), LayerNorm(), Dense(units=1)), (Gradient(0),))
    weights = {**case.weights, "dense_0.kernel": frozen(case.weights["dense_0.kernel"] / 1024.0)}
    weights["dense_0.bias"] = frozen(0.0 * weights["dense_0.bias"])
    realisation = replace(case.realisations["torch"], mode="second_order")
    case = replace(case, dtype=dtype, weights=weights, realisations={"torch": realisation})
    verdict = judge(case.check(), "torch")
    assert verdict.findings == ()
    (point,) = verdict.evidence.expectation.points
    spread = point.gradients["dense_0.kernel"].spread
    assert np.isfinite(spread).all() == known


@pytest.mark.parametrize(("backend", "slope"), [("torch", -1.0), ("tensorflow", -1.25)])
def test_huber_bends_at_delta_as_documented(backend: str, slope: float) -> None:
    """An error of δ: a parabola in Keras, whose slope changes along the bias of -1/2; in torch a
    line.
    """
    pytest.importorskip(backend)
    case = torch_case(
        (Dense(units=1),), (Gradient(0),), inputs=(1,), objective=(Term(loss="huber"),)
    )
    ones = frozen(np.ones((2, 1)))
    batch = replace(case.batches[0], inputs=(ones,), targets=(frozen(0.5 * ones),))
    weights = {"dense_0.kernel": frozen(np.zeros((1, 1))), "dense_0.bias": frozen(np.full(1, -0.5))}
    realisations = {backend: Realisation("second_order", (None,), {})}
    case = replace(case, weights=weights, batches=(batch,), realisations=realisations).check()
    verdict = judge(case, backend)
    assert verdict.findings == ()
    (point,) = verdict.evidence.expectation.points
    assert point.gradients["dense_0.bias"].value == [slope]
