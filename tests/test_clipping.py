"""Clipping in a case: how it is written, read, rendered, reduced and judged."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import at, gradient_of, point_of, torch_case
from tests_support import simple_case

from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS
from invariants.case import Case, from_json, frozen
from invariants.judge import gather, judge
from invariants.objective import Term
from invariants.optimizer import Clip
from invariants.program import Action, Freeze, Gradient, Step, Thaw
from invariants.properties import findings
from invariants.properties.evidence import Evidence
from invariants.reduction.edits import plainer_settings

#: The kind -> what torch and Keras call it.
CALLED = {
    "value": ("clip_grad_value_(model.parameters(), 0.25, foreach=False)", "clipvalue=0.25"),
    "norm": ("    torch.nn.utils.clip_grad_norm_(parameter, 0.25", "clipnorm=0.25"),
    "global_norm": ("clip_grad_norm_(model.parameters(), 0.25", "global_clipnorm=0.25"),
}


def clipping(kind: str, limit: float = 0.25) -> Case:
    return from_json(json.dumps({**simple_case().document, "clip": {"kind": kind, "limit": limit}}))


@pytest.mark.parametrize("kind", CALLED)
def test_both_backends_clip_between_gradient_and_step(kind: str) -> None:
    in_torch, in_keras = CALLED[kind]
    source = BACKENDS["torch"].render(clipping(kind))
    assert source.count(in_torch) == 1
    assert source.index("loss.backward()") < source.index(in_torch)
    assert source.index(in_torch) < source.index("optimizer.step()")
    assert in_keras in BACKENDS["tensorflow"].render(clipping(kind))


def test_a_case_from_before_has_no_clipping() -> None:
    document = {name: v for name, v in simple_case().document.items() if name != "clip"}
    assert from_json(json.dumps(document)).clip is None


def test_clipping_is_taken_off_first() -> None:
    assert simple_case() in list(plainer_settings(clipping("norm")))


def evidence(kind: str) -> Evidence:
    layers = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))
    program = (Gradient(0), Freeze("dense_2"), Step(0), Step(0))
    case = torch_case(layers, program)
    return gather(replace(case, clip=Clip(kind=kind, limit=0.0625)), "torch")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CALLED)
def test_torch_shows_the_gradients_that_it_clipped_in_place(kind: str) -> None:
    clipped = evidence(kind)
    assert not findings(clipped)
    first, after = (gradient_of(clipped, action, "dense_0.kernel") for action in (0, 2))
    assert abs(after).max() < abs(first).max()
    unclipped = at(clipped, 2, "gradients", "dense_0.kernel", first)
    assert {(f.property_, f.action) for f in findings(unclipped)} >= {("upstream_gradients", 2)}


def test_what_is_frozen_takes_no_part_in_the_norm_of_all() -> None:
    gradients = point_of(evidence("global_norm").observation, 2).gradients
    assert gradients["dense_2.kernel"] is None
    total = sum(float((g * g).sum()) for g in gradients.values() if g is not None) ** 0.5
    assert 0.0624 < total <= 0.0625


def of_the_stem(mode: str, *program: Action, **changes: Any) -> Case:
    """Two heads, of which the objective has that of the stem alone; the other is not reached."""
    layers = (Dense(units=2, use_bias=False), Dense(units=2, use_bias=False))
    case = torch_case(layers, program, **changes)
    (batch,) = case.batches
    realisation = replace(case.realisations["torch"], mode=mode)
    return replace(
        case,
        architecture=replace(case.architecture, taps=(1,)),
        objective=(Term(output=1),),
        batches=(replace(batch, targets=(frozen(np.full((4, 2), 0.25)),)),),
        realisations={"torch": realisation},
    ).check()


CLIPS = tuple(Clip(kind=kind, limit=2.0) for kind in ("value", "norm", "global_norm"))
SHARED = {"torch-forward-mode-shares-zeros"}


@pytest.mark.parametrize("mode", ["forward_mode", "linearized"])
@pytest.mark.parametrize("clip", CLIPS)
def test_zeros_that_share_their_memory_are_not_clipped_as_known(clip: Clip, mode: str) -> None:
    case = of_the_stem(mode, Freeze("dense_0"), Step(0), clip=clip)
    assert {f.issue for f in judge(case, "torch").findings} == SHARED


@pytest.mark.parametrize(
    "case",
    [
        of_the_stem("forward_mode", Freeze("dense_0"), Step(0)),
        of_the_stem("forward_mode", Step(0), clip=CLIPS[0]),
        of_the_stem("forward_mode", Freeze("dense_0"), Step(0), clip=CLIPS[0], input_gradient=True),
        of_the_stem("functional", Freeze("dense_0"), Step(0), clip=CLIPS[0]),
    ],
    ids=["not clipped", "a weight is reached", "an input is reached", "torch.func.grad"],
)
def test_other_zeros_are_clipped(case: Case) -> None:
    assert judge(case, "torch").findings == ()


def test_zeros_that_are_kept_share_their_memory_at_a_later_step() -> None:
    later = (Gradient(0), Freeze("dense_1"), Thaw("dense_0"), Step(0))
    case = of_the_stem("forward_mode", Freeze("dense_0"), *later, clip=CLIPS[0])
    assert judge(case, "torch").findings == ()
    realisation = case.realisations["torch"]
    options = {**realisation.options, "zero_grad": "zeros"}
    kept = replace(case, realisations={"torch": replace(realisation, options=options)})
    assert {f.issue for f in judge(kept, "torch").findings} == SHARED
