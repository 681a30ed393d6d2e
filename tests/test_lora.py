"""Keras's own LoRA: a weight that its layer freezes, and a file that merges the update into it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import Array, chain, point_of, since
from rich.console import Console

from invariants.architecture.graph import Architecture
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.lora import (
    Conv2DWithLora,
    DenseWithLora,
    EmbeddingWithLora,
)
from invariants.architecture.layers.shaping import Flatten
from invariants.backends import BACKENDS, installed
from invariants.case import Batch, Case, CaseError, Realisation
from invariants.case import frozen as fixed
from invariants.freezing import Flags
from invariants.hazards import MERGED
from invariants.judge import gather, judge
from invariants.objective import Term
from invariants.optimizer import SGD, ScheduleFreeAdamW
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.interpreter import expect
from invariants.program import Action, Freeze, Gradient, Reload, Step, Thaw
from invariants.properties import findings
from invariants.reduction import reduced
from invariants.report.terminal import closing
from invariants.suite.tally import Tally

LAYER = "dense_with_lora_1"
KERNEL, A, B = (f"{LAYER}.{name}" for name in ("kernel", "lora_a", "lora_b"))
LAYERS: tuple[AnyLayer, ...] = (Dense(units=3), DenseWithLora(units=2, rank=2, alpha=4), Dense())

FILES = ("weights_file", "keras_file")
REBUILT = ("clone_model", "from_config", "keras_file")
FORGOTTEN = {"lora_alpha_forgotten_by": ["dense_with_lora", "embedding_with_lora"]}

on_tensorflow = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def keras_case(
    *actions: Action | tuple[Action, str],
    layers: tuple[AnyLayer, ...] = LAYERS,
    inputs: Spec = Spec((3,)),  # noqa: B008
) -> Case:
    """The layers in a chain on Keras; an action stands with its way where that is not the usual."""
    pairs = [action if isinstance(action, tuple) else (action, None) for action in actions]
    program = tuple(action for action, _ in pairs)
    architecture = Architecture((inputs,), chain(*layers))
    rng = np.random.default_rng(7)

    def drawn(*shape: int) -> Array:
        return fixed(rng.integers(16, 64, size=shape) / 64)

    def way(action: Action) -> str | None:
        if not isinstance(action, Freeze | Thaw):
            return None
        return "variable_trainable" if action.target in architecture.weights else "layer_trainable"

    x = drawn(4, *inputs.shape)
    if inputs.vocabulary is not None:
        x = fixed(rng.integers(0, inputs.vocabulary, size=x.shape))
    return Case(
        architecture=architecture,
        weights={name: drawn(*p.shape) for name, p in architecture.parameters.items()},
        batches=(Batch((x,), (drawn(4, *architecture.outputs[0].shape),), (None,)),),
        program=program,
        realisations={
            "tensorflow": Realisation("tape", tuple(taken or way(a) for a, taken in pairs), {})
        },
        optimizer=SGD(),
        objective=(Term(),),
        dtype="float32",
        training=True,
        input_gradient=False,
        seed=0,
    ).check()


def points(case: Case, **changes: Any) -> tuple[ExpectedPoint, ...]:
    return expect(case, "tensorflow", CONTRACTS["tensorflow"].as_if(changes)).points


def merged(case: Case) -> Array:
    return np.asarray(case.weights[KERNEL] + 2.0 * case.weights[A] @ case.weights[B])


# --- frozen from the start ------------------------------------------------------------------------


def test_the_adapted_weight_alone_is_frozen_from_the_start() -> None:
    flags = Flags.initial(keras_case(Gradient(0)).architecture)
    assert flags.frozen == {KERNEL}
    assert flags.flagged == frozenset()


def test_it_has_no_gradient_and_its_factors_have() -> None:
    (point,) = points(keras_case(Gradient(0)))
    assert KERNEL not in point.gradients
    assert {A, B, f"{LAYER}.bias"} <= set(point.gradients)


@pytest.mark.parametrize(
    ("target", "way"),
    [(KERNEL, "variable_trainable"), ("", "each_variable"), (LAYER, "layer_trainable")],
)
def test_a_thaw_reaches_it_by_every_way(target: str, way: str) -> None:
    *_, point = points(keras_case((Thaw(target), way), Gradient(0)))
    assert point.gradients[KERNEL].value.any()


@pytest.mark.parametrize("way", REBUILT)
def test_a_model_from_a_config_freezes_it_once_more_and_that_is_a_known_issue(way: str) -> None:
    case = keras_case(Thaw(KERNEL), (Reload(), way), Gradient(0))
    assert KERNEL not in case.flags("tensorflow")[-1].frozen
    as_it_is = CONTRACTS["tensorflow"].as_if({"rebuilt_flags": "of_modules"})
    assert case.course("tensorflow", as_it_is)[-1].flags.frozen == {KERNEL}


@on_tensorflow
def test_keras_trains_the_factors_alone() -> None:
    evidence = gather(keras_case(Gradient(0), Step(0), Gradient(0)), "tensorflow")
    assert findings(evidence) == []
    before, after = (point_of(evidence.observation, number).weights for number in (-1, 1))
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert KERNEL not in moved
    assert {A, B} <= moved


@on_tensorflow
def test_a_thawed_weight_is_trained_beside_its_factors() -> None:
    case = keras_case(Gradient(0), Thaw(KERNEL), Gradient(0), Freeze(LAYER), Gradient(0))
    assert judge(case, "tensorflow").findings == ()


@on_tensorflow
def test_to_thaw_a_layer_whose_flag_was_true_already_is_the_known_issue() -> None:
    verdict = judge(keras_case(Thaw(LAYER), Gradient(0)), "tensorflow")
    assert {f.issue for f in verdict.findings} == {"keras-equal-flag-ignored"}


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", FILES)
def test_a_file_merges_the_update_and_leaves_factors_of_zeros(way: str) -> None:
    case = keras_case((Reload(), way), Gradient(0))
    loaded, point = points(case)
    assert loaded.rewritten == {KERNEL, A, B}
    assert np.abs(loaded.weights[KERNEL].value - merged(case)).max() < 1e-6
    for factor in (A, B):
        assert not loaded.weights[factor].value.any()
        assert not point.gradients[factor].value.any()


@pytest.mark.parametrize("way", ["set_weights", "clone_model", "from_config"])
def test_what_goes_by_no_file_merges_nothing(way: str) -> None:
    loaded, _ = points(keras_case((Reload(), way), Gradient(0)))
    assert loaded.rewritten == frozenset()


def test_a_file_computes_the_same_function() -> None:
    first, _, second = points(keras_case(Gradient(0), (Reload(), "weights_file"), Gradient(0)))
    assert first.loss is not None
    assert second.loss is not None
    assert np.abs(first.loss.value - second.loss.value).max() < 1e-6


@on_tensorflow
def test_an_optimizer_that_starts_with_the_weights_starts_with_those_that_were_loaded() -> None:
    """Its z is a copy of them: of factors of zeros, which have no gradient, it is zero."""
    case = keras_case(Step(0), (Reload(), "keras_file"), Step(0))
    ahead = replace(case.realisations["tensorflow"], options={"optimizer_build": "ahead"})
    case = replace(case, optimizer=ScheduleFreeAdamW(), realisations={"tensorflow": ahead}).check()
    verdict = judge(case, "tensorflow")
    assert not verdict.violations
    last = verdict.evidence.observation.points[-1]
    assert not last.weights[A].any()
    assert not last.weights[B].any()


@on_tensorflow
@pytest.mark.parametrize("way", FILES)
def test_that_a_file_moves_a_frozen_weight_is_a_hazard(way: str) -> None:
    found = judge(keras_case((Reload(), way), Gradient(0)), "tensorflow").findings
    hazards = [f for f in found if f.severity == "hazard"]
    assert {(f.subject, f.issue) for f in hazards} == {(KERNEL, MERGED.id)}
    assert "set_weights()" in hazards[0].message
    # load_model makes the layer anew, without its alpha, which counts no more: the update is 0
    assert {f.severity for f in found} == {"hazard"}


@on_tensorflow
def test_no_hazard_where_the_weight_is_trainable() -> None:
    case = keras_case(Thaw(KERNEL), (Reload(), "weights_file"), Gradient(0))
    assert judge(case, "tensorflow").findings == ()


@on_tensorflow
@pytest.mark.parametrize("name", [KERNEL, A])
def test_a_file_that_makes_something_else_of_a_weight_is_found(name: str) -> None:
    evidence = gather(keras_case((Reload(), "weights_file"), Gradient(0)), "tensorflow")
    spoilt = since(evidence, 0, name, lambda array: array + np.float32(1e-3))
    first = next(f for f in findings(spoilt) if f.severity == "violation")
    assert (first.property_, first.action, first.subject) == ("frozen_weights", 0, name)
    assert first.message == f"{name} is not what a file makes of it"


@on_tensorflow
def test_a_factor_that_outlives_the_file_is_found() -> None:
    evidence = gather(keras_case((Reload(), "weights_file"), Gradient(0)), "tensorflow")
    before = point_of(evidence.observation, -1).weights[A]
    spoilt = since(evidence, 0, A, lambda array: before)
    assert ("frozen_weights", 0, A) in {
        (f.property_, f.action, f.subject) for f in findings(spoilt)
    }


@on_tensorflow
def test_a_run_lists_the_hazard_and_stays_good() -> None:
    tally = Tally()
    tally.count(judge(keras_case((Reload(), "weights_file"), Gradient(0)), "tensorflow"))
    console = Console(record=True, width=400)
    for part in closing({"tensorflow": tally}, 1.0):
        console.print(part)
    text = console.export_text()
    assert f"hazard {MERGED.id} (1 case): {MERGED.title}" in text
    assert "no violation in 1 case (" in text


# --- alpha ----------------------------------------------------------------------------------------


def test_alpha_is_forgotten_by_a_layer_that_is_made_with_it() -> None:
    made = DenseWithLora(units=2, rank=2, alpha=4, enabled="when_made")
    case = keras_case(Gradient(0), layers=(Dense(units=3), made, Dense()))
    (told,), (forgotten,) = points(case), points(case, **FORGOTTEN)
    assert told.loss is not None
    assert forgotten.loss is not None
    assert told.loss.value != forgotten.loss.value


@pytest.mark.parametrize("way", ["clone_model", "from_config"])
def test_alpha_is_forgotten_by_a_copy(way: str) -> None:
    case = keras_case(Gradient(0), (Reload(), way), Gradient(0))
    first, _, second = points(case, **FORGOTTEN)
    assert first.loss is not None
    assert second.loss is not None
    assert first.loss.value != second.loss.value
    told, _, kept = points(case)
    assert told.weights_version == kept.weights_version
    assert first.weights_version != second.weights_version  # another function: bits may differ


@on_tensorflow
@pytest.mark.parametrize(
    ("layers", "inputs", "knows"),
    [
        ((DenseWithLora(units=2, alpha=4, enabled="when_made"),), Spec((3,)), False),
        ((EmbeddingWithLora(alpha=4, enabled="when_made"), Flatten()), Spec((2,), 3), False),
        ((Conv2DWithLora(alpha=4, enabled="when_made"), Flatten()), Spec((2, 2, 1)), True),
        ((DenseWithLora(units=2, alpha=4),), Spec((3,)), True),
        ((EmbeddingWithLora(alpha=4), Flatten()), Spec((2,), 3), True),
        ((Conv2DWithLora(alpha=4), Flatten()), Spec((2, 2, 1)), True),
        ((DenseWithLora(units=2, enabled="when_made"),), Spec((3,)), True),
    ],
    ids=str,
)
def test_keras_forgets_it_in_dense_and_embedding_alone(
    layers: tuple[AnyLayer, ...], inputs: Spec, knows: bool
) -> None:
    verdict = judge(keras_case(Gradient(0), layers=layers, inputs=inputs), "tensorflow")
    assert not verdict.violations
    issues = {f.issue for f in verdict.findings}
    assert issues == (set() if knows else {"keras-lora-alpha-forgotten"})


# --- the rest of the house ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_a_case_of_another_dtype_is_refused_with_the_reason(dtype: Any) -> None:
    with pytest.raises(CaseError, match=rf"dtype: some weights of {LAYER} are float32 whatever"):
        replace(keras_case(Gradient(0)), dtype=dtype).check()


def test_torch_says_that_it_has_none() -> None:
    case = keras_case(Gradient(0))
    with pytest.raises(CaseError, match="no layer of torch has a low-rank update"):
        replace(case, realisations={"torch": Realisation("eager", (None,), {})}).check()


def test_a_script_enables_the_update_as_people_do() -> None:
    layers = (DenseWithLora(units=2, rank=3), DenseWithLora(alpha=2, enabled="when_made"))
    source = BACKENDS["tensorflow"].render(
        keras_case(Thaw("dense_with_lora_0.kernel"), Step(0), layers=layers)
    )
    made, called, enabled = (
        "dense_with_lora_0 = keras.layers.Dense(2, use_bias=True, name='dense_with_lora_0')",
        "x1 = dense_with_lora_0(x0)",
        "dense_with_lora_0.enable_lora(3, lora_alpha=1)",
    )
    lines = [line.strip() for line in source.splitlines()]
    start = lines.index(made)
    assert lines[start : start + 3] == [made, called, enabled]
    assert "keras.layers.Dense(1, use_bias=True, lora_rank=1, lora_alpha=2, name=" in source
    assert 'model.get_layer("dense_with_lora_0")._kernel.trainable = True' in source


def test_a_reduction_leaves_the_update_out_where_it_does_not_matter() -> None:
    case = keras_case(Freeze(LAYER), Step(0))
    smallest = reduced(case, lambda smaller: len(smaller.architecture.layers) == 3, 60.0)
    assert [p.layer.kind for p in smallest.architecture.layers] == ["dense"] * 3
