"""Mixed precision policies of Keras: what a layer computes in, and steps on a scaled loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import chain
from hypothesis import Phase, find, settings
from tests_support import simple_case

from invariants.architecture.graph import Architecture, Placed
from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.average import Average
from invariants.backends import runner
from invariants.backends.source import definitions
from invariants.backends.tensorflow import LOWERINGS
from invariants.case import Case, CaseError, Realisation, frozen
from invariants.generate.cases import cases
from invariants.judge import gather, judge
from invariants.ledger import known_issues
from invariants.optimizer import SGD, Adam
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.contract.tensorflow_policies import formats
from invariants.oracle.interpreter import expect
from invariants.oracle.scaling import LossScale
from invariants.program import Action, Compile, Freeze, Gradient, Reload, Step, Thaw

#: Those that differ from what the policy says of a layer, and some that do not.
_KINDS = (
    "batch_norm",
    "dense",
    "dense_with_lora",
    "dropout",
    "embedding",
    "embedding_with_lora",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "lora_embedding",
    "lstm",
    "masked_gru",
    "multi_head_attention",
    "rms_norm",
    "softmax",
    "spectral_normalization_dense",
    "tied_embedding",
    "transformer_encoder",
    "unit_normalization",
)


def _a_layer(kind: str) -> tuple[Case, Placed]:
    case = find(
        cases(("tensorflow",), layer=kind),
        lambda case: any(p.layer.kind == kind for p in case.architecture.layers),
        settings=settings(database=None, deadline=None, phases=[Phase.generate]),
    )
    return case, next(p for p in case.architecture.layers if p.layer.kind == kind)


@pytest.mark.parametrize("kind", _KINDS)
def test_a_layer_puts_out_the_format_that_the_table_says(kind: str) -> None:
    tf = pytest.importorskip("tensorflow")
    runner.prepare("tensorflow")
    keras = pytest.importorskip("keras")
    case, placed = _a_layer(kind)
    row = LOWERINGS[kind]
    arguments = [f"x{n}" for n in range(len(placed.specs))]
    names: dict[str, Any] = {"keras": keras, "tf": tf, "SEED": 1}
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        exec("\n".join(definitions(case, LOWERINGS)), names)
        assert row.construct is not None
        names["made"] = eval(row.construct(placed.layer, placed.specs) + "name='made')", names)
        for given in (False, True):
            for name, spec in zip(arguments, placed.specs, strict=True):
                dtype = "bfloat16" if given else "float32"
                dtype = "int32" if spec.vocabulary is not None else dtype
                names[name] = tf.zeros((2, *spec.shape), dtype)
            y = eval(row.call(placed.layer, "made", arguments, placed.specs), names)
            out = formats(kind, (given,) * len(arguments)).outside
            assert y.dtype == ("bfloat16" if out else "float32")
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def test_the_table_names_layers() -> None:
    assert {*_KINDS} <= LAYERS.keys()
    for kind in LAYERS:
        assert formats(kind, (True,)).outside, "a layer that is given the lower format keeps to it"


_PROGRAM = (Gradient(0), Freeze("dense_2"), Gradient(0), Step(0), Thaw("dense_2"), Step(0))


_WAYS = {"freeze": "layer_trainable", "thaw": "layer_trainable", "reload": "compiled_file"}


def _in(mode: str, program: Sequence[Action] = _PROGRAM, target: float = 0.0) -> Case:
    """A program; target: what is added to the targets, for a loss that is large."""
    case = simple_case()
    ways = tuple(
        "variable_trainable" if getattr(a, "target", "") in case.weights else _WAYS.get(a.action)
        for a in program
    )
    batch = case.batches[0]
    far = replace(batch, targets=tuple(array + target for array in batch.targets))
    return replace(
        case,
        program=tuple(program),
        batches=(far,),
        dtype="float32",
        realisations={"tensorflow": Realisation(mode, ways, {})},
    ).check()


_MODES = [
    mode.name
    for mode in CONTRACTS["tensorflow"].modes
    if "autocast" in mode.traits and not mode.trains_itself
]


@pytest.mark.parametrize("mode", _MODES)
def test_gradients_and_weights_stay_in_float32_through_what_is_lowered(mode: str) -> None:
    verdict = judge(_in(mode), "tensorflow")
    assert verdict.findings == ()
    assert any(p.skipped for p in verdict.evidence.expectation.points) == mode.endswith("skipped")
    point = verdict.evidence.observation.points[-1]
    arrays = (*point.weights.values(), *point.gradients.values())
    assert {array.dtype.name for array in arrays if array is not None} == {"float32"}


@pytest.mark.parametrize("mode", [mode for mode in _MODES if not mode.endswith("skipped")])
def test_what_is_lowered_is_rounded_in_the_lower_format(mode: str) -> None:
    narrow, exact = (
        expect(_in(name), "tensorflow").points[0].gradients["dense_0.kernel"].spread
        for name in (mode, "tape")
    )
    assert exact.any()
    assert (narrow >= 50.0 * exact).all()


def test_a_compiled_model_steps_on_a_scaled_loss_as_the_chain_rule_says() -> None:
    verdict = judge(_in("fit_mixed_float16", (Step(0), Step(0))), "tensorflow")
    assert verdict.findings == ()
    assert not any(point.skipped for point in verdict.evidence.expectation.points)
    (*_, last) = verdict.evidence.expectation.points
    assert all(np.isfinite(weight.spread).all() for weight in last.weights.values())


def test_a_scaled_loss_leaves_the_same_gradient() -> None:
    a, b = (
        gather(_in(mode, (Gradient(0),)), "tensorflow").observation.points[-1].gradients
        for mode in ("mixed_float16", "mixed_float16_scaled")
    )
    plain, scaled = a["dense_3.kernel"], b["dense_3.kernel"]
    assert plain is not None
    assert scaled is not None
    assert np.abs(plain - scaled).max() <= 2.0**-10 * np.abs(plain).max()


def test_a_step_whose_gradients_overflow_is_skipped_whole() -> None:
    verdict = judge(_in("mixed_float16_scaled", (Step(0), Step(0)), target=200.0), "tensorflow")
    assert verdict.findings == ()
    assert [point.skipped for point in verdict.evidence.expectation.points] == [True, True]
    first, *_, last = verdict.evidence.observation.points
    assert all((last.weights[name] == array).all() for name, array in first.weights.items())


def test_a_step_that_is_skipped_meets_no_unknown_variable() -> None:
    program = (Freeze("dense_2"), Step(0), Thaw("dense_2"), Step(0))
    case = _in("mixed_float16_skipped", program)
    options = {"optimizer_build": "first_step", "optimizer_call": "apply"}
    realisation = replace(case.realisations["tensorflow"], options=options)
    verdict = judge(replace(case, realisations={"tensorflow": realisation}), "tensorflow")
    assert verdict.findings == ()
    assert verdict.evidence.observation.errors == {}
    made = judge(
        replace(case, realisations={"tensorflow": replace(realisation, mode="tape")}), "tensorflow"
    )
    assert {*made.evidence.observation.errors} == {3}


def test_a_loss_scale_doubles_after_some_steps_and_halves_after_one_that_is_skipped() -> None:
    scale = LossScale({"scale": "8.0", "growth": "2"})
    factors = []
    for skipped in (False, False, True, False, True, False, False):
        scale.after_step(skipped)
        factors.append(scale.factor)
    assert factors == [8.0, 16.0, 8.0, 8.0, 4.0, 4.0, 8.0]
    scale.begin()
    assert scale.factor == 8.0


def test_a_constant_scale_stays() -> None:
    scale = LossScale({"scale": "1024.0"})
    scale.after_step(skipped=True)
    scale.after_step(skipped=False)
    assert scale.factor == 1024.0


def test_a_mixed_policy_is_for_float32() -> None:
    with pytest.raises(CaseError, match="mixed_float16 does not take float64 with sgd"):
        replace(_in("mixed_float16"), dtype="float64").check()


def test_a_scaled_step_of_nothing_is_a_known_issue() -> None:
    program = (Freeze(""), Step(0), Thaw(""), Step(0))
    case = _in("mixed_float16_scaled", program)
    options = {"optimizer_build": "first_step", "optimizer_call": "apply"}
    realisation = replace(case.realisations["tensorflow"], options=options)
    case = replace(case, realisations={"tensorflow": realisation})
    told = {(finding.severity, finding.issue) for finding in judge(case, "tensorflow").findings}
    assert told == {("known issue", "keras-loss-scale-built-with-nothing")}
    issue = next(i for i in known_issues() if i.id == "keras-loss-scale-built-with-nothing")
    assert "Unknown variable" in issue.reason


def test_an_optimizer_whose_state_is_not_loaded_scales_the_loss_as_all_new_ones_do() -> None:
    """A file holds the optimizer as it was given to compile(); its scale is in its state alone."""
    program = (Freeze("dense_2.bias"), Compile(), Step(0), Reload(), Step(0))
    case = _in("fit_mixed_float16", program, target=16.0)
    for optimizer, moves in ((Adam(), False), (SGD(), True)):  # which has no state of weights
        verdict = judge(replace(case, optimizer=optimizer).check(), "tensorflow")
        assert {f.issue for f in verdict.findings} == {"keras-rebuilt-model-thaws-variables"}
        points = verdict.evidence.observation.points[-2:]
        before, after = (point.weights["dense_3.kernel"] for point in points)
        assert moves == bool((before != after).any())


def test_fit_ends_with_averages_though_all_of_its_steps_were_skipped() -> None:
    case = _in("fit_mixed_float16", (Step(0), Step(0)), target=900.0)
    verdict = judge(replace(case, average=Average(decay=0.9)).check(), "tensorflow")
    assert [point.skipped for point in verdict.evidence.expectation.points] == [True, True]
    told = {(finding.severity, finding.issue) for finding in verdict.findings}
    assert told == {("known issue", "keras-average-of-zeros")}


def test_where_no_one_knows_whether_a_step_was_skipped_no_one_knows_its_averages() -> None:
    """A batch norm's gradients are of float32, in which what overflowed before need not show."""
    case = _in("mixed_float16_skipped", (Freeze("dense_0"), Step(0)))
    architecture = Architecture(case.architecture.inputs, chain(Dense(units=1), BatchNorm()))
    weights = {name: frozen(np.ones(p.shape)) for name, p in architecture.parameters.items()}
    case = replace(case, architecture=architecture, weights=weights, average=Average(decay=0.9))
    verdict = judge(case.check(), "tensorflow")
    assert verdict.findings == ()
    last = verdict.evidence.expectation.points[-1]
    assert not last.skipped
    assert np.isinf(last.averages["dense_0.kernel"].spread).all()
