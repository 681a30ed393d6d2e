"""A model that is cast for good: flags, frozen values, and what it computes from there on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import at, gradient_of, last_bit_flipped, point_of, since, torch_case
from tests_support import simple_case

from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.average import Average
from invariants.backends import BACKENDS
from invariants.case import Case, CaseError, numpy_dtype
from invariants.judge import gather
from invariants.observation import same_bits
from invariants.optimizer import SGD, Adam
from invariants.program import Cast, Freeze, Step
from invariants.properties import findings
from invariants.properties.evidence import Evidence

KERNEL = "dense_3.kernel"


def program(dtype: Any) -> tuple[Any, ...]:
    return (Step(0), Step(0), Freeze("dense_3"), Cast(dtype), Step(0), Step(0))


def case(after: Any = "float32", **options: Any) -> Case:
    layers = (Dense(units=3), BatchNorm(), Tanh(), Dense(units=2), Dense(units=1))
    return torch_case(layers, program(after), **{"optimizer": Adam(), **options})


def sound(case: Case) -> Evidence:
    evidence = gather(case, "torch")
    assert not findings(evidence)
    return evidence


@pytest.mark.parametrize("before", ["float64", "float16"])
@pytest.mark.parametrize("after", ["float64", "float32", "bfloat16", "float16"])
def test_frozen_values_are_rounded_once_and_stay(before: Any, after: Any) -> None:
    observed = sound(case(after, dtype=before)).observation
    old, cast, last = (point_of(observed, n).weights[KERNEL] for n in (1, 3, 5))
    assert cast.dtype == numpy_dtype(after)
    through = np.float32 if before == "float64" and numpy_dtype(after).itemsize == 2 else old.dtype
    assert same_bits(old.astype(through).astype(cast.dtype), cast)
    assert same_bits(cast, last)
    assert point_of(observed, 3).flags[KERNEL] is False


def test_gradients_are_those_of_the_new_dtype() -> None:
    evidence = sound(case("float32"))
    gradient = gradient_of(evidence, 4, "dense_0.kernel")
    assert gradient.dtype == np.float32
    wide = gradient.astype(np.float64)
    forged = at(evidence, 4, "gradients", "dense_0.kernel", wide)
    assert {f.property_ for f in findings(forged)} == {"upstream_gradients"}
    narrow = gradient.astype(np.float16).astype(np.float32)
    forged = at(evidence, 4, "gradients", "dense_0.kernel", narrow)
    assert {f.property_ for f in findings(forged)} == {"upstream_gradients"}


def test_another_optimizer_starts_anew() -> None:
    observed = sound(case()).observation
    assert point_of(observed, 4).slots["dense_0.kernel"]["step"] == 1.0
    assert KERNEL not in point_of(observed, 4).slots


@pytest.mark.parametrize("name", [KERNEL, "dense_0.kernel"])
def test_a_bit_that_a_cast_gets_wrong_is_found_frozen_or_not(name: str) -> None:
    evidence = sound(case())
    forged = since(evidence, 3, name, lambda w: last_bit_flipped(w, (0, 0)))
    found = [(f.property_, f.action, f.subject) for f in findings(forged)]
    assert ("frozen_weights", 3, name) in found


def test_a_state_is_cast_like_a_weight() -> None:
    evidence = sound(case())
    forged = since(evidence, 3, "batch_norm_1.moving_mean", lambda w: last_bit_flipped(w, (0,)))
    assert ("frozen_state", 3) in {(f.property_, f.action) for f in findings(forged)}


def test_a_cast_of_all_that_is_frozen_leaves_no_optimizer_to_go_on_with() -> None:
    actions = (Step(0), Freeze(""), Cast("float32"), Step(0))
    made = torch_case((Dense(units=2), Dense(units=1)), actions, optimizer=SGD())
    options = {**made.realisations["torch"].options, "optimizer_scope": "trainable"}
    realisation = replace(made.realisations["torch"], options=options)
    with pytest.raises(CaseError, match="keeps slots of the other dtype"):
        replace(made, realisations={"torch": realisation}).check()


def test_what_is_not_documented_is_refused() -> None:
    with pytest.raises(CaseError, match="averages in the old dtype"):
        replace(case(), average=Average()).check()
    made = simple_case()
    keras = {"tensorflow": made.realisations["tensorflow"]}
    actions = (*made.program[:4], Cast("float64"), made.program[4])
    ways = (*keras["tensorflow"].ways[:4], None, None)
    keras = {"tensorflow": replace(keras["tensorflow"], ways=ways)}
    with pytest.raises(CaseError, match="no method casts a layer that has been made"):
        replace(made, program=actions, realisations=keras).check()


def test_numbers_that_the_later_dtype_cannot_hold_are_refused() -> None:
    made = case("bfloat16")
    batch = replace(made.batches[0], inputs=(made.batches[0].inputs[0] + 2.0**-20,))
    with pytest.raises(CaseError, match="that bfloat16 cannot hold exactly"):
        replace(made, batches=(batch,)).check()


def test_the_script_casts_and_makes_the_optimizer_after_it() -> None:
    source = BACKENDS["torch"].render(case("bfloat16"))
    assert "    model.bfloat16()\n    optimizer = torch.optim.Adam(" in source
