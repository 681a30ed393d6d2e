"""Clipping in a case: how it is written, read, rendered, reduced and judged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from forging import at, gradient_of, point_of, torch_case
from tests_support import simple_case

from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS
from invariants.case import Case, from_json
from invariants.judge import gather
from invariants.optimizer import Clip
from invariants.program import Freeze, Gradient, Step
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
