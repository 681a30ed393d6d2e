"""Losses in primitives; each takes the network's output and the target, and gives a scalar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from invariants.oracle.primitives import Array
from invariants.oracle.tape import Value


def shifted(x: Value) -> Value:
    """x minus its maximum over the last axis, which every softmax subtracts first.

    The maximum counts as a constant: its own derivative cancels.
    """
    return x - x.tape.constant(np.max(x.data, axis=-1, keepdims=True))


def mean_squared_error(y: Value, target: Array) -> Value:
    """The mean over all elements of (y - target)²; both of shape (N, ...)."""
    error = (y - y.tape.constant(target[None])).apply("square")
    return error.mean(tuple(range(-len(y.shape), 0)))


def _absolute(error: Value) -> Value:
    """|error|, whose derivative at 0 both frameworks take as 0, the sign of 0."""
    positive = error.apply("relu", at_zero=0.0)
    return positive + (error * -1.0).apply("relu", at_zero=0.0)


def _mean(x: Value) -> Value:
    return x.mean(tuple(range(-len(x.shape), 0)))


def mean_absolute_error(y: Value, target: Array) -> Value:
    """The mean over all elements of |y - target|."""
    return _mean(_absolute(y - y.tape.constant(target[None])))


def huber(y: Value, target: Array) -> Value:
    """The mean of e²/2 where |e| <= 1, elsewhere of |e| - 1/2 (Huber 1964); e = y - target."""
    error = y - y.tape.constant(target[None])
    size = _absolute(error)
    inside = size.tape.lift(1.0) - size
    return _mean(size.tape.apply("where_positive", inside, error.apply("square") * 0.5, size - 0.5))


def binary_cross_entropy(logits: Value, target: Array) -> Value:
    """The mean of log(1 + exp(x)) - t·x over all elements, t of 0 or 1.

    So written its derivative is σ(x) - t, rounded relative to 1 at t = 1, as torch takes it.
    """
    return _mean(logits.apply("softplus") - logits * logits.tape.constant(target[None]))


#: How much of the target is spread over all classes by label smoothing.
SMOOTHING = 0.125


def cross_entropy(logits: Value, target: Array, smoothing: float = 0.0) -> Value:
    """The mean over the batch of log Σ exp(logits) - Σ p·logits; logits (N, C), target (N,).

    p is 1 - smoothing at the target, and smoothing / C everywhere beside (arXiv 1512.00567).
    """
    z = shifted(logits)
    count = logits.shape[-1]
    chosen = (np.arange(count) == target[:, None])[None].astype(np.float64)
    picked = (z * z.tape.constant(chosen)).sum(-1)
    if smoothing:
        picked = picked * (1.0 - smoothing) + z.sum(-1) * (smoothing / count)
    return (z.apply("exp").sum(-1).apply("log") - picked).mean(-1)


def smoothed_cross_entropy(logits: Value, target: Array) -> Value:
    """Cross-entropy with label smoothing of 1/8."""
    return cross_entropy(logits, target, SMOOTHING)


@dataclass(frozen=True)
class Loss:
    """One row: the loss, what its targets are, and what a reader calls it.

    target: "real" (any numbers, of the shape of the output), "binary" (0 or 1, of that shape) or
    "classes" (whole numbers, one a sample, for a vector of logits).
    """

    forward: Callable[[Value, Array], Value]
    target: str
    title: str


LOSSES: dict[str, Loss] = {
    "mse": Loss(mean_squared_error, "real", "mean squared error"),
    "cross_entropy": Loss(cross_entropy, "classes", "cross-entropy"),
    "mae": Loss(mean_absolute_error, "real", "mean absolute error"),
    "huber": Loss(huber, "real", "Huber loss"),
    "binary_cross_entropy": Loss(binary_cross_entropy, "binary", "binary cross-entropy"),
    "smoothed_cross_entropy": Loss(
        smoothed_cross_entropy, "classes", "cross-entropy with label smoothing"
    ),
}
