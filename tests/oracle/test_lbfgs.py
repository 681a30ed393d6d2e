"""L-BFGS against the inverse Hessian that its pairs stand for, written out as a matrix."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.optimizer import LBFGS
from invariants.oracle.optimizers.lbfgs import Memory
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Rounding, deviation, estimate

Array = np.ndarray


def inverse_hessian(pairs: list[tuple[Array, Array]], size: int) -> Array:
    """H ← (I - ρsyᵀ)·H·(I - ρysᵀ) + ρssᵀ for each pair (y, s), from γI (Nocedal & Wright 7.20)."""
    identity = np.eye(size)
    if not pairs:
        return identity
    y, s = pairs[-1]
    h = identity * (y @ s) / (y @ y)
    for y, s in pairs:
        left = identity - np.outer(s, y) / (y @ s)
        h = left @ h @ left.T + np.outer(s, s) / (y @ s)
    return np.asarray(h)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), history=st.integers(1, 4), steps=st.integers(1, 7))
def test_it_steps_by_the_inverse_hessian_of_its_pairs(seed: int, history: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    root, b, w = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    rounding, memory = Rounding(PRECISIONS["float64"]), Memory()
    optimizer, expected = LBFGS(learning_rate=0.125, history=history), w[None]
    pairs: list[tuple[Array, Array]] = []
    before: tuple[Array, Array] | None = None
    for number in range(steps):
        g = root @ root.T @ w + b
        expected = memory.step(optimizer, rounding, expected, g[None])
        if before is not None and (g - before[0]) @ before[1] > 1e-10:
            pairs = [*pairs, (g - before[0], before[1])][-history:]
        rate = 0.125 * (min(1.0, 1.0 / np.abs(g).sum()) if number == 0 else 1.0)
        move = -rate * inverse_hessian(pairs, 4) @ g
        w, before = w + move, (g, move)
        away = deviation(w, estimate(expected, rounding)).spreads
        assert np.all(away <= LAMBDA), f"step {number}: {away.max():.3g} spreads away"


def test_a_gradient_of_zero_moves_nothing() -> None:
    w, rounding = np.array([[1.0, -2.0]]), Rounding(PRECISIONS["float64"])
    memory = Memory()
    assert np.array_equal(memory.step(LBFGS(), rounding, w, np.zeros_like(w)), w)
    assert memory.steps == 0


def test_a_threshold_that_rounding_decides_leaves_nothing_known() -> None:
    """A gradient that did not change has no curvature, be it for rounding."""
    rounding, memory = Rounding(PRECISIONS["float32"]), Memory()
    w = rounding.disturb(np.full((17, 2), 0.3))
    g = rounding.disturb(np.full((17, 2), 1.0))
    w = memory.step(LBFGS(), rounding, w, g)
    w = memory.step(LBFGS(), rounding, w, rounding.disturb(g))
    assert memory.lost
    assert np.isnan(w).all()


def test_a_curvature_below_float16_leaves_nothing_known() -> None:
    """y·s is 0 there, and what is divided by it no number; float32 holds it."""
    w = np.array([[1.0, -1.0]])
    gradients = (np.array([[2.0**-10, 2.0**-10]]), np.array([[2.0**-11, 2.0**-11]]))
    for dtype, known in (("float16", False), ("float32", True)):
        rounding, memory = Rounding(PRECISIONS[dtype]), Memory()
        for gradient in gradients:
            moved = memory.step(LBFGS(learning_rate=2.0**-6), rounding, w, gradient)
        assert bool(np.isfinite(moved).all()) is known, dtype
