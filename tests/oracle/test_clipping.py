"""Clipping is what each framework documents, and its spread reaches over the kink at the limit."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from invariants.optimizer import Clip
from invariants.oracle.clipping import clipped
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Estimate, Rounding, estimate

Kind = Literal["value", "norm", "global_norm"]

GRADIENTS = {"a": np.array([3.0, -4.0]), "b": np.array([[0.25], [-0.5]]), "c": np.zeros(3)}


def estimated(
    gradients: dict[str, Array], clip: Clip, backend: str = "torch", dtype: str = "float64"
) -> dict[str, Estimate]:
    rounding = Rounding(PRECISIONS[dtype])
    samples = {name: array[None] for name, array in gradients.items()}
    after = clipped(clip, CONTRACTS[backend], rounding, samples, ())
    return {name: estimate(array, rounding) for name, array in after.items()}


def by_hand(kind: Kind, limit: float, backend: str) -> dict[str, Array]:
    if kind == "value":
        return {name: g.clip(-limit, limit) for name, g in GRADIENTS.items()}
    norms = {name: float(np.sqrt((g * g).sum())) for name, g in GRADIENTS.items()}
    if kind == "global_norm":
        norms = dict.fromkeys(norms, float(np.sqrt(sum(n * n for n in norms.values()))))
    little = 1e-6 if backend == "torch" else 0.0
    return {
        name: g * min(1.0, limit / (norms[name] + little) if norms[name] else 1.0)
        for name, g in GRADIENTS.items()
    }


@pytest.mark.parametrize("backend", CONTRACTS)
@pytest.mark.parametrize("limit", [0.125, 1.0, 64.0])
@pytest.mark.parametrize("kind", ["value", "norm", "global_norm"])
def test_gradients_are_clipped_as_documented(kind: Kind, limit: float, backend: str) -> None:
    after = estimated(GRADIENTS, Clip(kind=kind, limit=limit), backend)
    for name, expected in by_hand(kind, limit, backend).items():
        distance = np.abs(after[name].value - expected)
        assert (distance <= LAMBDA * after[name].spread).all()
        assert (after[name].spread <= 1e-14 * np.abs(expected)).all()


@pytest.mark.parametrize("kind", ["value", "norm", "global_norm"])
def test_torch_leaves_what_is_below_the_limit(kind: Kind) -> None:
    after = estimated(GRADIENTS, Clip(kind=kind, limit=64.0))
    assert all(np.array_equal(after[name].value, g) for name, g in GRADIENTS.items())


@pytest.mark.parametrize("sides", [1.0, -1.0])
def test_an_element_within_its_spread_of_the_limit_may_lie_on_either_side(sides: float) -> None:
    """Sixteen samples by themselves all lie on the side of the element, some spreads away."""
    rounding = Rounding(PRECISIONS["float32"])
    near = rounding.disturb(np.full((17, 1), 0.5 * (1.0 + sides * 5.0 * rounding.unit)))
    after = clipped(Clip(limit=0.5), CONTRACTS["torch"], rounding, {"w": near}, ())["w"]
    found = estimate(after, rounding)
    assert np.abs(found.value - 0.5) <= LAMBDA * found.spread
    assert np.abs(found.value - near[0]) <= LAMBDA * found.spread


@pytest.mark.parametrize(
    ("dtype", "size"), [("float16", 2.0**15), ("bfloat16", 2.0**65), ("float32", 2.0**65)]
)
@pytest.mark.parametrize("kind", ["norm", "global_norm"])
def test_a_norm_beyond_the_range_is_not_judged(kind: Kind, dtype: str, size: float) -> None:
    large: Any = {"w": np.full(4, size)}
    assert np.isinf(estimated(large, Clip(kind=kind), dtype=dtype)["w"].spread).all()


def test_torch_sums_the_squares_of_float16_in_a_wider_format() -> None:
    after = estimated({"w": np.full(4, 512.0)}, Clip(kind="norm", limit=1.0), dtype="float16")
    assert np.isfinite(after["w"].spread).all()


def test_a_step_without_gradients_has_nothing_to_clip() -> None:
    assert not estimated({}, Clip(kind="global_norm"))
