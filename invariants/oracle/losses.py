"""Losses in primitives, and the objective that they add up to.

A loss takes an output of shape (N, ..., C) and its target, and gives its values: one for each
element, (N, ..., C), or one for each position, (N, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from invariants.oracle.contract import Contract, tensorflow_policies, torch_autocast
from invariants.oracle.primitives import Array
from invariants.oracle.tape import Value

if TYPE_CHECKING:
    from invariants.objective import Penalty, Term


#: backend -> the losses that under an autocast begin in the format of what they are given.
_AS_GIVEN = {
    "torch": torch_autocast.LOSSES_AS_GIVEN,
    "tensorflow": tensorflow_policies.LOSSES_AS_GIVEN,
}


def shifted(x: Value) -> Value:
    """x minus its maximum over the last axis, which every softmax subtracts first.

    The maximum counts as a constant: its own derivative cancels.
    """
    return x - x.tape.constant(np.max(x.data, axis=-1, keepdims=True))


def softmax(x: Value) -> Value:
    """exp(x) / Σ exp(x) over the last axis."""
    e = shifted(x).apply("exp")
    return e / e.sum(-1, keepdims=True)


def _known(y: Value, array: Array) -> Value:
    return y.tape.constant(array[None])


def _absolute(error: Value) -> Value:
    """|error|, whose derivative at 0 both frameworks take as 0, the sign of 0."""
    positive = error.apply("relu", at_zero=0.0)
    return positive + (error * -1.0).apply("relu", at_zero=0.0)


def squared_error(y: Value, target: Array, contract: Contract, term: Term) -> Value:
    """(y - target)²."""
    return (y - _known(y, target)).apply("square")


def absolute_error(y: Value, target: Array, contract: Contract, term: Term) -> Value:
    """|y - target|."""
    return _absolute(y - _known(y, target))


def huber(y: Value, target: Array, contract: Contract, term: Term) -> Value:
    """e²/2 where |e| < δ, elsewhere δ·(|e| - δ/2) (Huber 1964); e = y - target.

    At δ the two and their slopes are equal, their curvatures are not.
    """
    error = y - _known(y, target)
    size, delta = _absolute(error), term.delta
    parabola = error.apply("square") * 0.5
    line = (size - delta / 2.0) * delta if delta != 1.0 else size - 0.5
    if contract["huber_at_delta"] == "parabola":
        return size.tape.apply("where_positive", size - delta, line, parabola)
    return size.tape.apply("where_positive", size.tape.lift(delta) - size, parabola, line)


def _margin(y: Value, target: Array) -> Value:
    """max(0, 1 - t·y), t of -1 or 1; its derivative at 0 is that of the first argument."""
    return (y.tape.lift(1.0) - y * _known(y, target)).apply("relu", at_zero=1.0)


def hinge(y: Value, target: Array, contract: Contract, term: Term) -> Value:
    """max(0, 1 - t·y), t of -1 or 1 (Cortes & Vapnik 1995)."""
    return _margin(y, target)


def squared_hinge(y: Value, target: Array, contract: Contract, term: Term) -> Value:
    """max(0, 1 - t·y)², t of -1 or 1."""
    return _margin(y, target).apply("square")


def binary_cross_entropy(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """log(1 + exp(x)) - t·x, t of 0 or 1.

    So written its derivative is σ(x) - t, rounded relative to 1 at t = 1, as torch takes it. Under
    a transformation of functions torch composes it of others (binary_cross_entropy_with_logits_hack
    in aten/src/ATen/functorch/BatchRulesLoss.cpp), and rounds each.
    """
    if contract["logistic_loss"] == "composed":
        most = (logits * -1.0).apply("relu", at_zero=1.0)
        below = (most * -1.0).apply("exp") + (logits * -1.0 - most).apply("exp")
        return (logits.tape.lift(1.0) - _known(logits, target)) * logits + (
            most + below.apply("log")
        )
    return logits.apply("softplus") - logits * _known(logits, target)


def _floored(p: Value, contract: Contract) -> Value:
    """p kept ε away from 0 where the contract says so: below, no gradient passes."""
    floor = contract["probability_floor"]
    if floor is None:
        return p
    low = p.tape.lift(floor)
    return p.tape.apply("where_positive", p - low, p, low)


def _clipped(p: Value, contract: Contract) -> Value:
    """p kept ε away from 0 and 1 where the contract says so: beyond, no gradient passes."""
    floor = contract["probability_floor"]
    p = _floored(p, contract)
    if floor is None or 1.0 - floor > 1.0 - p.tape.rounding.precision.unit_roundoff / 2.0:
        return p  # the bound itself is 1 in this dtype
    high = p.tape.lift(1.0 - floor)
    return p.tape.apply("where_positive", high - p, p, high)


#: What torch divides by at least: `constexpr float EPSILON = 1e-12` in ATen/native/Loss.cpp.
_FLOOR = float(np.float32(1e-12))


def binary_likelihood(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """-(t·log p + (1 - t)·log(1 - p)) of the probabilities p = σ(x), t of 0 or 1."""
    if contract["softmax_in_a_graph"] == "taken_apart":
        return binary_cross_entropy(logits, target, contract, term)
    p, t = logits.apply("sigmoid"), _known(logits, target)
    if contract["probability_floor"] is None:
        least = p.tape.rounding.precision.smallest_normal
        return p.tape.apply("binary_likelihood", p, t, floor=_FLOOR if least < _FLOOR else 0.0)
    p = _clipped(p, contract)
    one, offset = p.tape.lift(1.0), contract["probability_offset"]
    chances = (p + offset, one - p + offset) if offset else (p, one - p)
    logs = _logarithm(chances[0], contract), _logarithm(chances[1], contract)
    return (t * logs[0] + (one - t) * logs[1]) * -1.0


def _chosen(logits: Value, target: Array) -> Value:
    """One-hot rows of class numbers."""
    return _known(logits, (np.arange(logits.shape[-1]) == target[..., None]).astype(np.float64))


def _cross_entropy(logits: Value, target: Value, smoothing: float = 0.0) -> Value:
    """log Σ exp(logits) - Σ target·logits over the last axis."""
    z = shifted(logits)
    picked = (z * target).sum(-1)
    if smoothing:
        picked = picked * (1.0 - smoothing) + z.sum(-1) * (smoothing / logits.shape[-1])
    return z.apply("exp").sum(-1).apply("log") - picked


def cross_entropy(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """log Σ exp(x) - x at the target's class."""
    return _cross_entropy(logits, _chosen(logits, target))


def smoothed_cross_entropy(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, arXiv 1512.00567)."""
    return _cross_entropy(logits, _chosen(logits, target), term.smoothing)


def dense_cross_entropy(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """Cross-entropy against a distribution over the classes."""
    return _cross_entropy(logits, _known(logits, target))


def _overflowing(x: Value, factors: Array) -> Value:
    """x, behind which no gradient is known where a factor of it is beyond the dtype."""
    largest = x.tape.rounding.precision.largest
    return x.apply("unjudged") if (np.abs(factors) > largest / 2.0).any() else x


def _logarithm(x: Value, contract: Contract) -> Value:
    """log x; its gradient is multiplied by 1 / x, which a known issue has overflow."""
    if contract["logarithm_in_float16"] == "overflows":
        with np.errstate(divide="ignore"):
            x = _overflowing(x, 1.0 / x.data)
    return x.apply("log")


def likelihood(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """-log p at the target's class, p = softmax(x)."""
    if contract["softmax_in_a_graph"] == "taken_apart":
        return cross_entropy(logits, target, contract, term)
    chosen = _chosen(logits, target)
    log_p = _logarithm(_clipped(softmax(logits), contract), contract)
    if contract["probabilities_normalised_again"]:
        return _cross_entropy(log_p, chosen)
    return (log_p * chosen).sum(-1) * -1.0


def dense_likelihood(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """-Σ t·log p against a distribution t over the classes, p = softmax(x)."""
    if contract["softmax_in_a_graph"] == "taken_apart":
        return dense_cross_entropy(logits, target, contract, term)
    p = softmax(logits)
    if contract["probabilities_normalised_again"]:
        p = p / p.sum(-1, keepdims=True)
    return (_logarithm(_clipped(p, contract), contract) * _known(logits, target)).sum(-1) * -1.0


def kl_divergence(logits: Value, target: Array, contract: Contract, term: Term) -> Value:
    """Σ t·log(t / p) of a distribution t over the classes, p = softmax(x)."""
    floor = contract["probability_floor"]
    if floor is None:  # by way of log p
        entropy = np.where(target > 0.0, target * np.log(np.where(target > 0.0, target, 1.0)), 0.0)
        products = logits.apply("log_softmax") * _known(logits, target)
        return (_known(logits, entropy) - products).sum(-1)
    t = _known(logits, np.maximum(target, floor))
    p = _floored(softmax(logits), contract)
    ratio = t / p
    if contract["logarithm_in_float16"] == "overflows":
        ratio = _overflowing(ratio, ratio.data / p.data)
    return (t * _logarithm(ratio, contract)).sum(-1)


def cosine(y: Value, target: Array, contract: Contract, term: Term) -> Value:
    """-Σ y·t / (|y||t|) over the last axis.

    A vector that is shorter than rounding leaves of what it comes from is divided by a constant:
    then its direction is rounding alone, and so is what its length changes by.
    """
    lengths = np.sqrt(np.square(y.data).sum(axis=-1))
    if (lengths < contract["cosine_least_length"]).any():
        y = y.apply("unjudged_again")
    length = np.sqrt((target**2).sum(axis=-1, keepdims=True))
    t = y.tape.constant((target / np.where(length > 0.0, length, 1.0))[None])
    unit = y * y.apply("square").sum(-1, keepdims=True).apply("rsqrt")
    return (unit * t).sum(-1) * -1.0


@dataclass(frozen=True)
class Loss:
    """One row: the loss, what its targets are, and what a reader calls it.

    target: "real" (any numbers, of the shape of the output), "nonzero" (the same, no row of zeros),
    "binary" (0 or 1, of that shape), "signs" (-1 or 1), "distribution" (rows that sum to 1) or
    "classes" (whole numbers, one a position). elementwise: whether it has a value for each element.
    """

    forward: Callable[[Value, Array, Contract, Term], Value]
    target: str
    title: str
    elementwise: bool = True


LOSSES: dict[str, Loss] = {
    "mse": Loss(squared_error, "real", "mean squared error"),
    "mae": Loss(absolute_error, "real", "mean absolute error"),
    "huber": Loss(huber, "real", "Huber loss"),
    "cross_entropy": Loss(cross_entropy, "classes", "cross-entropy", elementwise=False),
    "smoothed_cross_entropy": Loss(
        smoothed_cross_entropy, "classes", "cross-entropy with label smoothing", elementwise=False
    ),
    "dense_cross_entropy": Loss(
        dense_cross_entropy, "distribution", "cross-entropy of distributions", elementwise=False
    ),
    "likelihood": Loss(likelihood, "classes", "cross-entropy of probabilities", elementwise=False),
    "dense_likelihood": Loss(
        dense_likelihood,
        "distribution",
        "cross-entropy of distributions and probabilities",
        elementwise=False,
    ),
    "binary_cross_entropy": Loss(binary_cross_entropy, "binary", "binary cross-entropy"),
    "binary_likelihood": Loss(binary_likelihood, "binary", "binary cross-entropy of probabilities"),
    "kl_divergence": Loss(
        kl_divergence, "distribution", "Kullback-Leibler divergence", elementwise=False
    ),
    "cosine": Loss(cosine, "nonzero", "cosine similarity", elementwise=False),
    "hinge": Loss(hinge, "signs", "hinge loss"),
    "squared_hinge": Loss(squared_hinge, "signs", "squared hinge loss"),
}

#: The losses whose outputs are logits of classes, which no activation puts out.
CLASSIFYING = frozenset(
    name for name, loss in LOSSES.items() if loss.target in ("classes", "distribution")
)


def _all(x: Value) -> tuple[int, ...]:
    return tuple(range(-len(x.shape), 0))


def _reduced(
    term: Term, values: Value, elementwise: bool, weights: Array | None, contract: Contract
) -> Value:
    """One number from the values of a loss; weights: (N, ...), one for each position."""
    if weights is None:
        if term.reduction == "batchmean":
            return values.sum(_all(values)) / float(values.shape[0])
        if term.reduction != "sum":
            return values.mean(_all(values))
        if elementwise and contract["sum_of_losses"] == "of_positions":
            values = values.mean(-1)
        return values.sum(_all(values))
    if elementwise:
        values = values.mean(-1)
    total = (values * _known(values, weights)).sum(_all(values))
    if term.reduction == "sum":
        return total
    mask = term.weighting == "mask"
    return total / (float(weights.sum()) if mask else float(math.prod(weights.shape)))


def objective(
    terms: Sequence[Term],
    penalties: Mapping[str, Penalty],
    outputs: Sequence[Value],
    targets: Sequence[Array],
    weights: Sequence[Array | None],
    parameters: Mapping[str, Value],
    contract: Contract,
) -> Value:
    """The sum of all terms and penalties, a scalar."""
    total: Value | None = None
    for term, target, held in zip(terms, targets, weights, strict=True):
        loss = LOSSES[term.loss]
        output = outputs[term.output]
        given = output.rounding is output.tape.lower and term.loss in _AS_GIVEN[contract.backend]
        with output.tape.computing(lower=given):
            values = loss.forward(output, target, contract, term)
        values = output.tape.cast(values, lower=False)
        value = _reduced(term, values, loss.elementwise, held, contract)
        value = value if term.weight == 1.0 else value * term.weight
        total = value if total is None else total + value
    assert total is not None
    for name, penalty in penalties.items():
        weight = parameters[name]
        for kind, factor in penalty.parts:
            size = weight.apply("square") if kind == "l2" else _absolute(weight)
            if contract["penalty_factor"] == "float32":
                factor = float(np.float32(factor))
            total = total + size.sum(_all(size)) * factor
    return total
