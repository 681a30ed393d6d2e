"""The rates of schedules against the documentation's own examples and the formulas by hand."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest

from invariants import schedule as schedules
from invariants.backends.tensorflow import schedules as keras_rows
from invariants.backends.torch import schedules as torch_rows
from invariants.case import numpy_dtype
from invariants.generate.schedules import DRAWN
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Rounding, estimate
from invariants.oracle.schedules import FORMULAS, rate_at, share_after
from invariants.schedule import (
    Cosine,
    Exponential,
    InverseTime,
    Linear,
    MultiStep,
    Polynomial,
    form,
)

KINDS = {s().kind for s in get_args(get_args(schedules.Schedule)[0])}


def samples(schedule: Any, n: int, base: float = 0.05, backend: str = "torch", **given: Any) -> Any:
    rounding = Rounding(PRECISIONS[given.get("dtype", "float64")])
    first = given.get("first", base)
    return rate_at(schedule, CONTRACTS[backend], rounding, n, base, first)


def rates(schedule: Any, count: int, **given: Any) -> list[float]:
    return [float(samples(schedule, n, **given)[0]) for n in range(count)]


def test_every_schedule_has_a_formula_rows_and_is_drawn() -> None:
    assert set(FORMULAS) == KINDS == set(DRAWN) == set(keras_rows.ROWS)
    assert set(torch_rows.ROWS) == {*KINDS, "stairs"}


#: What the docstrings of torch.optim.lr_scheduler say in their examples, the steps shortened.
EXAMPLES: dict[str, tuple[Any, list[float]]] = {
    "StepLR": (
        Exponential(decay=0.1, steps=2, stairs=True),
        [0.05, 0.05, 0.005, 0.005, 0.0005],
    ),
    "MultiStepLR": (MultiStep(milestones=(1, 3), decay=0.1), [0.05, 0.005, 0.005, 0.0005]),
    "LinearLR": (Linear(first=0.5, last=1.0, steps=4), [0.025, 0.03125, 0.0375, 0.04375, 0.05]),
    "PolynomialLR": (
        Polynomial(power=2.0, steps=4),
        [0.05, 0.05 * 9 / 16, 0.05 / 4, 0.05 / 16, 0.0, 0.0],
    ),
    "CosineAnnealingLR": (Cosine(steps=2), [0.05, 0.025, 0.0, 0.025, 0.05]),
    "InverseTimeDecay": (InverseTime(decay=0.5), [0.05, 0.05 / 1.5, 0.025, 0.02]),
    "ExponentialDecay": (
        Exponential(decay=0.25, steps=2),
        [0.05, 0.025, 0.0125, 0.00625],
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_schedule_gives_the_rates_of_its_example(name: str) -> None:
    schedule, said = EXAMPLES[name]
    assert all(
        math.isclose(a, b, abs_tol=1e-17)
        for a, b in zip(rates(schedule, len(said)), said, strict=True)
    )


def test_the_cosine_of_keras_stays_where_that_of_torch_rises() -> None:
    schedule = Cosine(steps=2, least=0.5)
    assert rates(schedule, 5)[2:] == [0.025, 0.0375, 0.05]
    assert rates(schedule, 5, backend="tensorflow")[2:] == [0.025] * 3


def test_the_floor_of_a_cosine_is_the_same_for_all_groups() -> None:
    assert rates(Cosine(steps=2, least=0.5), 3, base=0.0125, first=0.05)[2] == 0.025


@pytest.mark.parametrize("backend", CONTRACTS)
def test_a_rate_that_reaches_zero_is_zero(backend: str) -> None:
    for schedule in (Polynomial(steps=3), Linear(steps=3), MultiStep(milestones=(3,), decay=0.0)):
        assert rates(schedule, 5, backend=backend)[3:] == [0.0, 0.0]
        assert rates(schedule, 5, backend=backend)[2] > 0.0


SPELT_OUT: tuple[Any, ...] = (
    Exponential(decay=0.9, steps=3),
    MultiStep(milestones=(2,), decay=0.1),
    Linear(first=1 / 3, last=0.1, steps=5),
    Polynomial(power=0.7, steps=5),
    Cosine(least=0.1, steps=5),
    InverseTime(decay=0.3, steps=3),
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("schedule", SPELT_OUT, ids=lambda schedule: schedule.kind)
def test_a_rate_worked_out_in_a_dtype_lies_within_its_spread(schedule: Any, dtype: str) -> None:
    def in_the_dtype(array: np.ndarray) -> np.ndarray:
        return np.asarray(array).astype(numpy_dtype(dtype)).astype(np.float64)

    rounding = Rounding(PRECISIONS[dtype])
    differs = False
    for n in range(6):
        found = estimate(samples(schedule, n, backend="tensorflow", dtype=dtype), rounding)
        least = 0.05 * getattr(schedule, "least", 0.0)
        n = min(n, getattr(schedule, "steps", n)) if schedule.kind == "cosine" else n
        rate = FORMULAS[schedule.kind](schedule, n, 0.05, least, in_the_dtype)[0]
        assert abs(rate - float(found.value)) <= LAMBDA * float(found.spread)
        differs |= bool(rate != float(found.value))
    assert differs, "nothing has been rounded"


def test_a_rate_that_was_set_goes_on_by_what_is_left_of_the_schedule() -> None:
    assert share_after(Exponential(decay=0.5), 1, 3) == 0.25
    assert share_after(MultiStep(milestones=(1, 3), decay=0.0), 1, 2) == 1.0
    assert share_after(MultiStep(milestones=(1, 3), decay=0.0), 1, 3) == 0.0
    assert share_after(Linear(first=1.0, last=0.0, steps=4), 2, 3) == 0.5
    assert share_after(Linear(first=1.0, last=0.0, steps=4), 4, 6) == 1.0


@pytest.mark.parametrize("schedule", SPELT_OUT, ids=lambda schedule: schedule.kind)
def test_each_rate_of_a_scheduler_of_torch_lies_within_its_spread(schedule: Any) -> None:
    torch = pytest.importorskip("torch")
    constructor, given = torch_rows.ROWS[form(schedule)]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.05)
    source = f"torch.optim.lr_scheduler.{constructor}(optimizer, {given(schedule, 0.05)})"
    scheduler = eval(source, {"torch": torch, "optimizer": optimizer})
    for n in range(12):
        found = estimate(samples(schedule, n), Rounding(PRECISIONS["float64"]))
        away = abs(optimizer.param_groups[0]["lr"] - float(found.value))
        assert away <= LAMBDA * float(found.spread), f"after {n} steps"
        optimizer.step()
        scheduler.step()
