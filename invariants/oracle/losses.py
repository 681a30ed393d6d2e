"""Losses in primitives; each takes the network's output and the target, and gives a scalar."""

from __future__ import annotations

from collections.abc import Callable

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


def cross_entropy(logits: Value, target: Array) -> Value:
    """The mean over the batch of log Σ exp(logits) - logits[target]; logits (N, C), target (N,)."""
    z = shifted(logits)
    chosen = np.arange(logits.shape[-1]) == target[:, None]
    picked = (z * z.tape.constant(chosen[None].astype(np.float64))).sum(-1)
    return (z.apply("exp").sum(-1).apply("log") - picked).mean(-1)


LOSSES: dict[str, Callable[[Value, Array], Value]] = {
    "mse": mean_squared_error,
    "cross_entropy": cross_entropy,
}
