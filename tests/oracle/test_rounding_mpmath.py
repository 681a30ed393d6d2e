"""The rounding model against mpmath at 50 digits.

Two claims, at every primitive, at chains of them and at small networks: what the oracle computes
undisturbed is true within its float64 spread, and an honest evaluation in float32 or float64, here
NumPy and the chain rule of `autograd`, operation by operation, stays within that dtype's spread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import value_and_grad
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from independent_layers import Network, erf, relu, sigmoid, softplus
from mpmath import mp
from precise import DIGITS, gradients, spreads_away, variables

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import (
    Celu,
    Elu,
    Gelu,
    LeakyRelu,
    LogSigmoid,
    LogSoftmax,
    Mish,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Tanhshrink,
)
from invariants.architecture.layers.adapters import Bottleneck
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.grouping import GroupNorm, RmsNorm, UnitNormalization
from invariants.architecture.layers.lora import LoraDense
from invariants.architecture.layers.normalization import BatchNorm, LayerNorm
from invariants.architecture.layers.piecewise import (
    HardSigmoid,
    HardSilu,
    HardTanh,
    Prelu,
    Relu6,
    Softshrink,
)
from invariants.architecture.layers.weight_norm import WeightNormDense
from invariants.case import Batch, Case, Realisation, frozen
from invariants.generate.objectives import draw_target
from invariants.objective import LossName, Term
from invariants.optimizer import SGD
from invariants.oracle.interpreter import expect
from invariants.oracle.primitives import PRIMITIVES
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Estimate, Rounding, estimate
from invariants.oracle.tape import Tape, Value
from invariants.program import Gradient

DTYPES: tuple[Literal["float64", "float32"], ...] = ("float64", "float32")

SETTINGS = settings(max_examples=50, deadline=None)

#: Single numbers that are exact in float32, at all magnitudes where float32 stays normal.
MODERATE = st.floats(-6.0, 6.0, width=32)
SIGNED = st.one_of(MODERATE, st.floats(-64.0, 64.0, width=32)).filter(
    lambda x: x == 0.0 or abs(x) > 1e-12
)
POSITIVE = st.one_of(st.floats(0.25, 4.0, width=32), st.floats(2.0**-40, 2.0**40, width=32))


@dataclass(frozen=True)
class Elementwise:
    """A primitive once more in NumPy, and the numbers that each of its arguments is drawn from.

    constant: the arguments that count as constants; params: those of the primitive.
    """

    function: Callable[..., Any]
    domains: tuple[st.SearchStrategy[float], ...]
    constant: tuple[int, ...] = ()
    params: tuple[tuple[str, float], ...] = ()


def choose(s: Any, above: Any, at: Any, below: Any) -> Any:
    """One of three by a sign."""
    return anp.where(s > 0, above, anp.where(s < 0, below, at))


ELEMENTWISE: dict[str, Elementwise] = {
    "add": Elementwise(lambda a, b: a + b, (SIGNED, SIGNED)),
    "subtract": Elementwise(lambda a, b: a - b, (SIGNED, SIGNED)),
    "multiply": Elementwise(lambda a, b: a * b, (SIGNED, SIGNED)),
    "divide": Elementwise(lambda a, b: a / b, (SIGNED, POSITIVE)),
    "square": Elementwise(anp.square, (SIGNED,)),
    "squared_deviation": Elementwise(
        lambda x, mean: anp.square(x - mean), (SIGNED, SIGNED), constant=(1,)
    ),
    "centred": Elementwise(lambda x, mean: x - mean, (SIGNED, SIGNED)),
    "rescaled": Elementwise(lambda x, s: x * s, (SIGNED, SIGNED), params=(("size", 0.0),)),
    "sqrt": Elementwise(anp.sqrt, (POSITIVE,)),
    "rsqrt": Elementwise(lambda x: 1.0 / anp.sqrt(x), (POSITIVE,)),
    "exp": Elementwise(anp.exp, (SIGNED,)),
    "exp_less_one": Elementwise(lambda x: anp.exp(x) - 1.0, (SIGNED,)),
    "celu": Elementwise(
        lambda x: 0.5 * (anp.exp(x / 0.5) - 1.0),
        (st.floats(-32.0, 32.0, width=32).filter(lambda x: x == 0.0 or abs(x) > 1e-12),),
        params=(("alpha", 0.5), ("inverse", 2.0)),
    ),
    "binary_likelihood": Elementwise(
        lambda p, t: -(t * anp.log(p) + (1.0 - t) * anp.log(1.0 - p)),
        (st.floats(0.125, 0.875, width=32), st.sampled_from((0.0, 1.0))),
        params=(("floor", 1e-12),),
        constant=(1,),
    ),
    "divide_by": Elementwise(
        lambda x: x / 6.0, (SIGNED,), params=(("divisor", 6.0), ("inverse", 1.0 / 6.0))
    ),
    "log": Elementwise(anp.log, (POSITIVE,)),
    "tanh": Elementwise(anp.tanh, (SIGNED,)),
    "sigmoid": Elementwise(sigmoid, (SIGNED,)),
    "softplus": Elementwise(softplus, (SIGNED,)),
    "erf": Elementwise(erf, (st.one_of(MODERATE, st.floats(-9.0, 9.0, width=32)),)),
    "relu": Elementwise(relu, (SIGNED,), params=(("at_zero", 0.0),)),
    "leaky_relu": Elementwise(
        lambda x: anp.where(x > 0, x, 0.25 * x), (SIGNED,), params=(("slope", 0.25),)
    ),
    "where_positive": Elementwise(
        lambda c, a, b: anp.where(c > 0, a, b), (SIGNED, SIGNED, SIGNED), constant=(0,)
    ),
    # Updates alone are made of these: they have no gradients.
    "sign": Elementwise(
        lambda x: choose(x, 0.0 * x + 1.0, 0.0 * x, 0.0 * x - 1.0), (SIGNED,), constant=(0,)
    ),
    "absolute": Elementwise(lambda x: anp.where(x > 0, x, -x), (SIGNED,), constant=(0,)),
    "maximum": Elementwise(lambda a, b: anp.where(a > b, a, b), (SIGNED, SIGNED), constant=(0, 1)),
    "minimum": Elementwise(lambda a, b: anp.where(a < b, a, b), (SIGNED, SIGNED), constant=(0, 1)),
    "by_sign": Elementwise(choose, (SIGNED,) * 4, constant=(0, 1, 2, 3)),
}

#: Primitives of whole arrays: the networks below and test_derivatives.py go through them.
OF_ARRAYS = {
    "sum",
    "running_mean",
    "matmul",
    "batch_matmul",
    "max",
    "log_softmax",
    "straddle_zero",
    "straddle_maxima",
    "reshape",
    "transpose",
    "slice",
    "pad",
    "take",
    "patches",
    "overlap",
    "permute",
    "repeat",
    "concatenate",
}


def test_every_wide_dtype_and_every_primitive_is_checked_against_mpmath() -> None:
    # NumPy evaluates no network in 16 bits as frameworks do, which keep wide intermediate results.
    assert set(DTYPES) == set(PRECISIONS) - {"bfloat16", "float16"}
    # Behind "unjudged" nothing is known, so there is nothing to check; behind two more the second
    # derivative alone is, and "leak" is a product but for its slope at 0: test_derivatives.py has
    # them. Of "shared" a share of its gradient flows on, which no function of it has: torch itself
    # is asked in test_frequency_of_lookups.py. The last two change to a format of 16 bits and
    # back: test_autocast.py has them.
    others = {"unjudged", "unjudged_again", "differentiated_once", "leak", "shared"}
    others |= {"narrowed", "widened"}
    assert set(ELEMENTWISE) | OF_ARRAYS == set(PRIMITIVES) - others


Function = Callable[..., Any]
OnTape = Callable[[Tape, list[Value]], Value]


def on_tape(build: OnTape, arrays: list[np.ndarray], dtype: str) -> list[Estimate]:
    """The oracle's estimate of a scalar and of its gradient by each of `arrays`."""
    rounding = Rounding(PRECISIONS[dtype])
    tape = Tape(rounding)
    leaves = [tape.constant(array[None]) for array in arrays]
    output = build(tape, leaves)
    return [estimate(s, rounding) for s in (output.data, *tape.gradients(output, leaves))]


def in_numpy(function: Function, arrays: list[np.ndarray], dtype: str) -> list[np.ndarray]:
    """An evaluation in `dtype`, operation by operation, and autograd's gradient of it."""
    typed = tuple(array.astype(dtype) for array in arrays)
    value, slopes = value_and_grad(lambda xs: function(*xs))(typed)
    results = [np.asarray(value), *slopes]
    assert {str(result.dtype) for result in results} == {dtype}
    return results


def in_mpmath(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    output = function(*variables(arrays))
    return [np.asarray(output, dtype=object).reshape(-1)[0].value, *gradients(output, arrays)]


def check(build: OnTape, function: Function, arrays: list[np.ndarray], skip: set[int]) -> None:
    """Both claims about a scalar function, in both dtypes; `skip` are arguments without gradient.

    Results between zero and the smallest normal float32 are beyond the model's promise and are
    not drawn.
    """
    with mp.workdps(DIGITS), np.errstate(all="ignore"):
        exact = in_mpmath(function, arrays)
        for dtype in DTYPES:
            expected = on_tape(build, arrays, dtype)
            honest = in_numpy(function, arrays, dtype)
            for number, (e, got, true) in enumerate(zip(expected, honest, exact, strict=True)):
                if number - 1 in skip:
                    continue
                what = f"{'value' if not number else f'gradient {number - 1}'}, {dtype}: {arrays}"
                away = spreads_away(got, true, e.spread)
                assert away <= LAMBDA, f"NumPy is {away:.3g} spreads from mpmath in {what}"
                if dtype == "float64":
                    away = spreads_away(e.value, true, e.spread)
                    assert away <= LAMBDA, f"the oracle is {away:.3g} spreads off in {what}"


@pytest.mark.parametrize("name", ELEMENTWISE)
@SETTINGS
@given(data=st.data())
def test_the_spread_of_a_primitive_covers_its_true_rounding(name: str, data: st.DataObject) -> None:
    row = ELEMENTWISE[name]
    arrays = [np.array([data.draw(domain)]) for domain in row.domains]

    def build(tape: Tape, leaves: list[Value]) -> Value:
        return tape.apply(name, *leaves, **dict(row.params))

    check(build, lambda *xs: anp.sum(row.function(*xs)), arrays, set(row.constant))


#: Functions of one argument that can follow each other: on the tape, and in NumPy.
LINKS: dict[str, tuple[Callable[[Value], Value], Callable[[Any], Any]]] = {
    "tanh": (lambda x: x.apply("tanh"), anp.tanh),
    "sigmoid": (lambda x: x.apply("sigmoid"), sigmoid),
    "softplus": (lambda x: x.apply("softplus"), softplus),
    "erf": (lambda x: x.apply("erf"), erf),
    "square": (lambda x: x.apply("square"), anp.square),
    "shift": (lambda x: x - 1.0, lambda x: x - 1.0),
    "scale": (lambda x: x * 3.0, lambda x: x * 3.0),
    "exp of minus": (lambda x: (x * -1.0).apply("exp"), lambda x: anp.exp(-x)),
    "log of 1 + square": (
        lambda x: (x.apply("square") + 1.0).apply("log"),
        lambda x: anp.log(anp.square(x) + 1.0),
    ),
    "root of 1 + square": (
        lambda x: (x.apply("square") + 1.0).apply("sqrt"),
        lambda x: anp.sqrt(anp.square(x) + 1.0),
    ),
    "x / root of 1 + square": (
        lambda x: x * (x.apply("square") + 1.0).apply("rsqrt"),
        lambda x: x / anp.sqrt(anp.square(x) + 1.0),
    ),
}


@settings(max_examples=400, deadline=None)
@given(
    links=st.lists(st.sampled_from(sorted(LINKS)), min_size=2, max_size=8),
    x=st.lists(st.floats(-3.0, 3.0, width=32), min_size=1, max_size=3),
)
def test_the_spread_follows_a_chain_of_primitives(links: list[str], x: list[float]) -> None:
    def build(tape: Tape, leaves: list[Value]) -> Value:
        value = leaves[0]
        for link in links:
            value = LINKS[link][0](value)
        return value.sum(-1)

    def function(value: Any) -> Any:
        for link in links:
            value = LINKS[link][1](value)
        return anp.sum(value)

    array = np.array(x)
    with np.errstate(all="ignore"):
        moderate = [r.value for r in on_tape(build, [array], "float64")]
    sizes = np.abs(np.concatenate([r.reshape(-1) for r in moderate]))
    assume(np.all((sizes == 0.0) | ((sizes > 1e-30) & (sizes < 1e30))))
    check(build, function, [array], set())


#: The layer in the middle of a small network, and what stands behind it.
MIDDLES: dict[str, AnyLayer] = {
    "relu": Relu(),
    "leaky_relu": LeakyRelu(negative_slope=0.01),
    "elu": Elu(alpha=0.5),
    "gelu": Gelu(),
    "gelu_tanh": Gelu(approximate=True),
    "silu": Silu(),
    "softplus": Softplus(),
    "tanh": Tanh(),
    "sigmoid": Sigmoid(),
    "softmax": Softmax(),
    "log_softmax": LogSoftmax(),
    "log_sigmoid": LogSigmoid(),
    "softsign": Softsign(),
    "tanhshrink": Tanhshrink(),
    "mish": Mish(),
    "selu": Selu(),
    "celu": Celu(alpha=0.5),
    "relu6": Relu6(),
    "hard_tanh": HardTanh(),
    "hard_sigmoid": HardSigmoid(),
    "hard_silu": HardSilu(),
    "softshrink": Softshrink(),
    "prelu": Prelu(),
    "layer_norm": LayerNorm(epsilon=1e-5),
    "layer_norm_without_weights": LayerNorm(epsilon=1e-5, affine=False),
    "batch_norm": BatchNorm(epsilon=1e-5),
    "group_norm": GroupNorm(epsilon=1e-5),
    "rms_norm": RmsNorm(epsilon=1e-6),
    "unit_normalization": UnitNormalization(),
    "lora_dense": LoraDense(units=3, rank=2, alpha=2.0),
    "bottleneck": Bottleneck(units=2),
    "weight_norm_dense": WeightNormDense(units=3),
}


#: The losses that need no elementwise comparison, which mpmath's numbers take no part in.
LOSSES: tuple[LossName, ...] = ("mse", "cross_entropy", "dense_cross_entropy", "kl_divergence")


def small_network(middle: AnyLayer, loss: LossName, seed: int, exponent: int) -> Case:
    """dense -> middle -> dense, with float32 numbers off the grid, the first kernel scaled."""
    architecture = Architecture(
        (Spec((2,)),),
        Block(
            members=(Dense(units=3), middle, Dense(units=2)),
            nodes=(Node(0, (0,)), Node(1, (1,)), Node(2, (2,))),
        ),
    )
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        return frozen(rng.normal(size=shape).astype(np.float32))

    weights = {name: numbers(*p.shape) for name, p in architecture.parameters.items()}
    weights = {n: frozen(abs(w)) if "variance" in n else w for n, w in weights.items()}
    weights["dense_0.kernel"] = frozen(weights["dense_0.kernel"] * 2.0**exponent)
    target = draw_target(rng, Term(loss=loss), Spec((2,)), 3, numbers(3, 2))
    return Case(
        architecture=architecture,
        weights=weights,
        batches=(Batch((numbers(3, 2),), (frozen(target),), (None,)),),
        program=(Gradient(0),),
        optimizer=SGD(),
        objective=(Term(loss=loss),),
        dtype="float64",
        training=True,
        input_gradient=True,
        seed=0,
        realisations={"torch": Realisation("eager", (None,), {"optimizer_loop": "foreach"})},
    ).check()


@pytest.mark.parametrize("middle", MIDDLES)
@settings(max_examples=25, deadline=None)
@given(
    loss=st.sampled_from(LOSSES),
    seed=st.integers(0, 2**20),
    exponent=st.sampled_from((0, 2, -4, -10)),
)
def test_the_spread_of_a_network_covers_its_true_rounding(
    middle: str, loss: LossName, seed: int, exponent: int
) -> None:
    case = small_network(MIDDLES[middle], loss, seed, exponent)
    network = Network(case, "torch", 0)
    names = list(network.leaves())
    arrays = list(network.leaves().values())
    with mp.workdps(DIGITS):
        exact = in_mpmath(lambda *xs: network.loss(dict(zip(names, xs, strict=True))), arrays)
    for dtype in DTYPES:
        (point,) = expect(replace(case, dtype=dtype), "torch").points
        honest = Network(case, "torch", 0, dtype=np.dtype(dtype))
        loss_value, slopes = value_and_grad(honest.loss)(honest.leaves())
        assert {str(slope.dtype) for slope in slopes.values()} == {dtype}
        expected = {"loss": point.loss, **point.gradients}
        got = {"loss": loss_value, **slopes}
        for name, true in zip(("loss", *names), exact, strict=True):
            e: Any = expected[name]
            away = spreads_away(got[name], true, e.spread)
            assert away <= LAMBDA, f"NumPy is {away:.3g} spreads from mpmath at {name}, {dtype}"
            if dtype == "float64":
                away = spreads_away(e.value, true, e.spread)
                assert away <= LAMBDA, f"the oracle is {away:.3g} spreads off at {name}"
