"""Every vector-Jacobian product against differences, and whole networks too.

Differences are extrapolated (Richardson): from central differences D(h), D(2h), D(4h) come two
estimates that are exact up to h⁴, the better of which is off by less than the two differ, plus what
rounding moves the function by, divided by h. That sum is the bound; nothing is picked by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from invariants.architecture.layers.shaping import Embedding
from invariants.case import Batch, Case, frozen
from invariants.generate.cases import cases
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.interpreter import expect
from invariants.oracle.primitives import PRIMITIVES, concatenate_vjp, unbroadcast
from invariants.oracle.rounding import LAMBDA
from invariants.program import Gradient

Array = np.ndarray


def difference(function: Callable[[Any], Any], h: Any, noise: Any) -> tuple[Any, Any]:
    """The derivative of `function` at 0, and a bound of its error; `noise` is the function's."""
    central = [(function(k * h) - function(-k * h)) / (2 * k * h) for k in (1, 2, 4)]
    fine, coarse = ((4 * a - b) / 3 for a, b in pairwise(central))
    return fine, np.abs(fine - coarse) + 2 * noise / h


# --- one primitive ------------------------------------------------------------------------------

#: Away from kinks and poles, of both signs.
SIGNED = st.builds(lambda size, sign: sign * size, st.floats(0.25, 3.0), st.sampled_from((1, -1)))
POSITIVE = st.floats(0.25, 4.0)
LARGE = st.floats(-6.0, 6.0)


@dataclass(frozen=True)
class Row:
    """How to try a primitive: the shapes of its arguments, their domain, its parameters.

    constant: arguments that count as constants. distinct: elements at least 0.1 apart.
    """

    shapes: tuple[tuple[int, ...], ...] = ((2, 3),)
    domain: st.SearchStrategy[float] = SIGNED
    params: dict[str, Any] = field(default_factory=dict)
    constant: tuple[int, ...] = ()
    distinct: bool = False


BROADCAST = ((2, 3), (3,))
KEPT = ((2, 3), (2, 1))
IMAGE = ((2, 4, 3, 2),)

#: Two by two windows of two elements each, one above the other.
WINDOWS = ((1, 2, 2, 2, 2),)
OVERLAP = {"kernel": (2, 1), "strides": (1, 1), "dilation": (1, 1)}

ROWS: dict[str, tuple[Row, ...]] = {
    "add": (Row(BROADCAST), Row(KEPT), Row(((3,), (2, 3)))),
    "subtract": (Row(BROADCAST), Row(KEPT), Row(((3,), (2, 3)))),
    "multiply": (Row(BROADCAST), Row(KEPT), Row(((3,), (2, 3)))),
    "leak": (Row(BROADCAST), Row(KEPT)),
    "divide": (Row(BROADCAST), Row(KEPT), Row(((3,), (2, 3)))),
    "square": (Row(),),
    "squared_deviation": (Row(KEPT, constant=(1,)),),
    "centred": (Row(KEPT),),
    "rescaled": (Row(BROADCAST, params={"size": 0.0}), Row(KEPT, params={"size": 0.0})),
    "sqrt": (Row(domain=POSITIVE),),
    "rsqrt": (Row(domain=POSITIVE),),
    "exp": (Row(domain=LARGE),),
    "exp_less_one": (Row(domain=LARGE),),
    "celu": (Row(domain=LARGE, params={"alpha": 0.5, "inverse": 2.0}),),
    "binary_likelihood": (
        Row(((2, 3), (2, 3)), st.floats(0.0625, 0.9375), {"floor": 1e-12}, constant=(1,)),
    ),
    "divide_by": (Row(params={"divisor": 4.0, "inverse": 0.25}),),
    "log_softmax": (Row(domain=LARGE), Row(((2, 2, 4),))),
    "log": (Row(domain=POSITIVE),),
    "tanh": (Row(domain=LARGE),),
    "sigmoid": (Row(domain=LARGE),),
    "softplus": (Row(domain=LARGE),),
    "erf": (Row(domain=LARGE),),
    "relu": (Row(params={"at_zero": 0.0}),),
    "leaky_relu": (Row(params={"slope": 0.3}),),
    "where_positive": (Row(((2, 3),) * 3, constant=(0,)),),
    "sum": (
        Row(params={"axis": -1}),
        Row(params={"axis": (-2, -1)}),
        Row(params={"axis": -2, "keepdims": True}),
    ),
    "running_mean": (Row(params={"axis": -1}), Row(params={"axis": (-2, -1)})),
    "matmul": (Row(((2, 3), (3, 2))), Row(((2, 2, 3), (3, 4))), Row(((1, 2, 2, 3), (3, 1)))),
    "batch_matmul": (Row(((2, 3), (3, 2))), Row(((2, 2, 3), (2, 3, 1)))),
    "max": tuple(
        Row(((2, 3, 2),), params={"tie": tie}, distinct=True) for tie in ("first", "split")
    ),
    "straddle_zero": (Row(params={"turn": 3}),),  # the identity where nothing was rounded
    "straddle_maxima": (Row(params={"turn": 3}),),
    "unjudged": (),  # its gradient is not known, by design
    "shared": (Row(params={"share": 1.0}),),  # no function has another share as its slope
    "unjudged_again": (Row(),),
    "differentiated_once": (Row(),),
    "narrowed": (Row(),),
    "widened": (Row(),),
    # What optimizers alone do, behind which nothing is differentiated.
    **dict.fromkeys(("by_sign", "absolute", "minimum", "maximum", "sign"), ()),
    "reshape": (Row(params={"shape": (3, 1, 2)}),),
    "slice": (
        Row(params={"start": 1, "stop": 3}),
        Row(params={"start": 0, "stop": 1}),
        Row(((2, 3, 2),), params={"start": 1, "stop": 3, "axis": -2}),
    ),
    "transpose": (Row(params={"axes": (1, 0)}), Row(((2, 3, 1),), params={"axes": (2, 0, 1)})),
    "pad": (Row(params={"widths": ((1, 0), (0, 2))}),),
    "take": (
        Row(params={"indices": np.array([[1, 0, 1], [1, 1, 0]])}),
        Row(((4, 2),), params={"indices": np.array([3, 0])}),
    ),
    "patches": (
        Row(IMAGE, params={"kernel": (2, 2), "strides": (1, 1)}),
        Row(IMAGE, params={"kernel": (2, 1), "strides": (2, 2)}),
        Row(IMAGE, params={"kernel": (1, 3), "strides": (3, 1)}),
        Row(IMAGE, params={"kernel": (2, 2), "strides": (1, 1), "dilation": (2, 1)}),
    ),
    "permute": (
        Row(params={"axes": (1, 0)}),
        Row(((2, 3, 2, 1),), params={"axes": (3, 0, 1, 2)}),
    ),
    "repeat": (
        Row(params={"axis": -1, "times": 2}),
        Row(((2, 3, 2),), params={"axis": -2, "times": 3}),
    ),
    "overlap": (
        Row(WINDOWS, params=OVERLAP | {"size": (4, 3)}),
        Row(WINDOWS, params=OVERLAP | {"size": (5, 4), "strides": (2, 1)}),
        Row(WINDOWS, params=OVERLAP | {"size": (4, 3), "dilation": (2, 1)}),
    ),
    "concatenate": (Row(((2, 3), (2, 1), (2, 2))),),
}


def test_every_primitive_has_a_row_here() -> None:
    assert set(ROWS) == set(PRIMITIVES)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_what_has_no_vjp_is_what_counts_as_constant(name: str) -> None:
    for row in ROWS[name]:
        missing = tuple(i for i, vjp in enumerate(PRIMITIVES[name].vjps) if vjp is None)
        assert missing == row.constant


def draw_arrays(data: st.DataObject, row: Row) -> list[Array]:
    """One array for each argument, with a sample axis of one, in extended precision."""
    arrays = []
    for shape in row.shapes:
        size = int(np.prod(shape))
        numbers = data.draw(st.lists(row.domain, min_size=size, max_size=size))
        if row.distinct:
            numbers = [0.1 * i for i in data.draw(st.permutations(range(size)))]
        arrays.append(np.array(numbers, dtype=np.longdouble).reshape(1, *shape))
    return arrays


@np.vectorize
def extended_erf(x: Any) -> Any:
    """erf in extended precision; the primitive's own is math.erf, of doubles."""
    with mpmath.mp.workdps(30):
        digits = np.format_float_scientific(x, precision=25)
        return np.longdouble(mpmath.nstr(mpmath.erf(mpmath.mpf(digits)), 25))


def evaluate(name: str, xs: list[Array], params: dict[str, Any]) -> Array:
    if name == "erf":
        return np.asarray(extended_erf(xs[0]))
    return PRIMITIVES[name].forward(*xs, **params)


def vjp(name: str, position: int, g: Array, y: Array, xs: list[Array], params: Any) -> Array:
    """The product as the tape takes it, summed down to the argument's shape."""
    if name == "concatenate":
        return concatenate_vjp(g, [x.shape[-1] for x in xs])[position]
    product = PRIMITIVES[name].vjps[position]
    assert product is not None
    result = product(g, y, *xs, **params)
    gradient = result[0] if isinstance(result, tuple) else result
    return unbroadcast(gradient, xs[position].shape[1:])[0]


@pytest.mark.parametrize(
    ("name", "row"),
    [pytest.param(n, r, id=f"{n}-{i}") for n in ROWS for i, r in enumerate(ROWS[n])],
)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_vjp_is_the_derivative_of_its_forward(name: str, row: Row, data: st.DataObject) -> None:
    xs = draw_arrays(data, row)
    y = evaluate(name, xs, row.params)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    g = rng.choice([-2.0, -0.5, 1.0, 3.0], size=y.shape).astype(np.longdouble)
    ulp = np.finfo(np.longdouble).eps
    for position in range(len(xs)):
        if position in row.constant:
            continue
        gradient = vjp(name, position, g, y, xs, row.params)
        assert gradient.shape == xs[position].shape
        for index in np.ndindex(gradient.shape):

            def moved(step: Any, position: int = position, index: tuple[int, ...] = index) -> Any:
                arrays = list(xs)
                arrays[position] = xs[position].copy()
                arrays[position][index] += step
                return np.sum(g * evaluate(name, arrays, row.params))

            size = np.sum(np.abs(g * y)) + np.sum(np.abs(g))
            noise = ulp * (4 + y.size) * size
            slope, bound = difference(moved, np.longdouble(2.0**-13), noise)
            assert bound < 1e-9 * size, "the difference is too coarse to judge by"
            assert abs(gradient[index] - slope) <= bound


# --- whole networks -----------------------------------------------------------------------------


def off_the_grid(case: Case, seed: int) -> Case:
    """`case` as one gradient by everything, its numbers moved so that nothing ties by chance."""
    rng = np.random.default_rng(seed)

    def moved(array: Array, width: float = 0.05) -> Array:
        return frozen(array + rng.uniform(-width, width, size=array.shape))

    # In training mode the state of such a layer follows the weights, as a constant by convention.
    follows = any(placed.layer.reads_its_state for placed in case.architecture.layers)
    batch = case.batches[0]
    inputs = tuple(
        x if spec.vocabulary is not None else moved(x)
        for x, spec in zip(batch.inputs, case.architecture.inputs, strict=True)
    )
    # A mode with another objective than the loss has another gradient.
    realisation = replace(case.realisations["torch"], ways=(None,), mode="eager")
    return replace(
        case,
        weights={name: moved(array) for name, array in case.weights.items()},
        batches=(Batch(inputs, batch.targets, batch.weights),),
        program=(Gradient(0),),
        realisations={"torch": realisation},
        training=case.training and not case.architecture.stochastic and not follows,
        input_gradient=False,
        dtype="float64",
    )


def constant_rows(case: Case, name: str) -> list[int]:
    """The rows of an embedding's table that count as constants, or as others than they are."""
    layer = case.architecture.owner(name)
    if not isinstance(layer, Embedding):
        return []
    rows = [] if layer.padding_index is None else [layer.padding_index]
    if layer.by_frequency:
        return [*range(len(case.weights[name]))]
    if layer.max_norm is None:
        return rows
    norms = np.linalg.norm(case.weights[name], ord=layer.norm_type, axis=1)
    return [*rows, *np.flatnonzero(norms > 0.99 * layer.max_norm)]


def gradient_point(case: Case) -> ExpectedPoint:
    (point,) = expect(case, "torch").points
    return point


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(("torch",)), seed=st.integers(0, 999))
def test_the_tape_gives_the_slope_of_every_weight(case: Case, seed: int) -> None:
    """Along a random direction of ±1 in each weight in turn, the others fixed."""
    case = off_the_grid(case, seed)
    assume(case.reached & set(case.architecture.weights))
    point = gradient_point(case)
    assert point.loss is not None
    noise = LAMBDA * float(point.loss.spread)
    rng = np.random.default_rng(seed)
    judged = 0
    for name in sorted(set(case.architecture.weights) & case.reached):
        direction = rng.choice([-1.0, 1.0], size=case.weights[name].shape)
        direction[constant_rows(case, name)] = 0.0  # constants by convention, not by the calculus

        def loss(step: Any, name: str = name, direction: Array = direction) -> Any:
            weights = {**case.weights, name: frozen(case.weights[name] + step * direction)}
            moved = gradient_point(replace(case, weights=weights)).loss
            assert moved is not None
            return float(moved.value)

        slope, bound = difference(loss, 2.0**-13, noise)
        gradient = point.gradients[name]
        own = LAMBDA * float(gradient.spread.sum())
        scale = float(np.abs(gradient.value).sum()) + float(point.loss.value)
        if bound > 1e-5 * scale:  # a kink within reach shows as disagreeing differences
            continue
        judged += 1
        got = float(np.sum(direction * gradient.value))
        assert abs(got - slope) <= bound + own, f"{name} of {case!r}: {got}, difference {slope}"
    assume(judged)
