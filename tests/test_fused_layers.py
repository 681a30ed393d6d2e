"""A layer that an evaluation runs fused, in the region of an autocast that trains behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from forging import point_of, torch_case

from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.transformers import PackedTransformerEncoder
from invariants.case import Case
from invariants.judge import judge
from invariants.objective import Penalty
from invariants.program import Action, Evaluate, Freeze, Gradient, Step, Thaw

ENCODER = "packed_transformer_encoder_1"
SEVERED = {
    f"{ENCODER}.{name}"
    for name in (
        "attention_packed_kernel",
        "attention_packed_bias",
        "attention_output_kernel",
        "attention_output_bias",
        "up_bias",
        "down_bias",
    )
}


def encoding(
    *program: Action,
    mode: str = "autocast_kept",
    evaluated_in: str = "no_grad",
    penalised: str = "",
    heads: int = 2,
) -> Case:
    """A dense layer, an encoder and a dense layer over a sequence."""
    layers = (Dense(units=4), PackedTransformerEncoder(heads=heads, hidden=2), Dense(units=1))
    penalties = {f"{ENCODER}.{penalised}": Penalty(kind="l2", factor=0.25)} if penalised else {}
    case = torch_case(
        layers,
        tuple(Gradient(0) if isinstance(action, Evaluate) else action for action in program),
        inputs=(2, 3),
        dtype="float32",
        penalties=penalties,
    )
    given = case.realisations["torch"]
    ways = tuple(
        evaluated_in if isinstance(action, Evaluate) else way
        for action, way in zip(program, given.ways, strict=True)
    )
    realisations = {"torch": replace(given, mode=mode, ways=ways)}
    return replace(case, program=program, realisations=realisations).check()


def cut_off(case: Case) -> dict[int, set[str]]:
    """action -> the weights without a gradient, all of which the known issue must explain."""
    verdict = judge(case, "torch")
    assert {f.issue for f in verdict.findings} <= {"torch-fused-encoder-severs-casts"}
    found: dict[int, set[str]] = {}
    for finding in verdict.findings:
        if finding.property_ == "upstream_gradients":
            found.setdefault(finding.action, set()).add(finding.subject)
    return found


def test_an_evaluation_at_the_head_of_a_region_severs_what_it_casts() -> None:
    case = encoding(Gradient(0), Freeze(ENCODER), Gradient(0), mode="autocast_evaluated")
    assert cut_off(case) == {0: SEVERED}


def test_an_evaluation_severs_the_rest_of_a_kept_region() -> None:
    assert cut_off(encoding(Evaluate(0), Gradient(0), Gradient(0))) == {1: SEVERED, 2: SEVERED}


def test_what_was_trained_before_keeps_the_cast_of_then() -> None:
    assert cut_off(encoding(Gradient(0), Evaluate(0), Gradient(0))) == {}


def test_what_is_frozen_is_cast_anew_each_time() -> None:
    thawed = (Freeze(ENCODER), Evaluate(0), Thaw(ENCODER), Gradient(0))
    assert cut_off(encoding(*thawed)) == {}


@pytest.mark.parametrize("heads", [1, 2])
def test_tensors_of_inference_mode_and_odd_heads_are_cast_as_ever(heads: int) -> None:
    evaluated_in = "inference_mode" if heads == 2 else "no_grad"
    program = (Evaluate(0), Gradient(0))
    assert cut_off(encoding(*program, evaluated_in=evaluated_in, heads=heads)) == {}


def test_a_penalty_still_reaches_what_the_loss_does_not() -> None:
    weight = "attention_packed_kernel"
    case = encoding(Gradient(0), Step(0), mode="autocast_evaluated", penalised=weight)
    verdict = judge(case, "torch")
    assert not verdict.violations
    gradient = point_of(verdict.evidence.observation, 0).gradients[f"{ENCODER}.{weight}"]
    assert gradient is not None
    assert (gradient == 0.5 * case.weights[f"{ENCODER}.{weight}"]).all()
