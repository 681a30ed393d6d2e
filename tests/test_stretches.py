"""The reentrant variant of checkpointing: which stretches it runs, and what they lose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from forging import torch_case

from invariants.architecture.graph import Block, Node
from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.architecture.layers.shaping import Add
from invariants.backends import BACKENDS
from invariants.case import Case
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.program import Freeze, Gradient, Step, Thaw
from invariants.stretches import chain, stretches, without_inputs

ISSUE = "torch-reentrant-checkpoint-loses-gradients"
LAYERS = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=2), Dense(units=1))


def recomputing(
    *program: Freeze | Thaw | Gradient | Step,
    mode: str = "checkpointed_reentrant",
    **options: bool,
) -> Case:
    case = torch_case(LAYERS, program, **options)
    realisation = replace(case.realisations["torch"], mode=mode)
    return replace(case, realisations={"torch": realisation}).check()


def test_every_second_call_with_weights_behind_the_inputs_is_recomputed() -> None:
    case = recomputing(Gradient(0))
    assert stretches(case.architecture) == (2, 4)
    assert BACKENDS["torch"].render(case).count("use_reentrant=True") == 2


def test_what_is_trainable_before_a_stretch_asks_for_its_gradient() -> None:
    architecture = recomputing(Gradient(0)).architecture
    everything = frozenset(architecture.weights)
    stem = frozenset(architecture.weights_in("dense_0"))
    chosen = stretches(architecture)
    assert without_inputs(architecture, chosen, everything, ()) == frozenset()
    assert without_inputs(architecture, chosen, everything - stem, ()) == {2}
    assert without_inputs(architecture, chosen, everything - stem, (0,)) == frozenset()
    assert without_inputs(architecture, chosen, frozenset(), ()) == {2, 4}


def test_a_stretch_behind_a_frozen_start_loses_its_gradients_as_documented() -> None:
    case = recomputing(Gradient(0), Freeze("dense_0"), Gradient(0), Step(0))
    verdict = judge(case, "torch")
    assert {f.severity for f in verdict.findings} == {"hazard"}
    assert {f.issue for f in verdict.findings} == {ISSUE}
    without = {f.subject for f in verdict.findings if f.property_ == "upstream_gradients"}
    assert without == {"dense_2.kernel", "dense_2.bias"}
    assert {f.action for f in verdict.findings} == {2, 3}


def test_what_had_a_gradient_before_it_is_lost_keeps_one_of_zeros() -> None:
    made = recomputing(Step(0), Freeze("dense_0"), Step(0))
    options = {**made.realisations["torch"].options, "zero_grad": "zeros"}
    realisation = replace(made.realisations["torch"], options=options)
    verdict = judge(replace(made, realisations={"torch": realisation}).check(), "torch")
    assert not verdict.violations
    assert not verdict.evidence.observation.points[-1].gradients["dense_2.kernel"].any()


def test_nothing_is_lost_where_the_input_needs_a_gradient() -> None:
    program = (Freeze("dense_0"), Gradient(0), Thaw("dense_0"), Gradient(0))
    assert judge(recomputing(*program, input_gradient=True), "torch").findings == ()


def test_what_is_lost_has_no_gradient_and_the_rest_has_its_own() -> None:
    contract = CONTRACTS["torch"].as_if({"stretch_without_inputs": "loses_gradients"})
    case = recomputing(Freeze("dense_0"), Gradient(0))
    lost, whole = (expect(case, "torch", c).points[0].gradients for c in (contract, None))
    assert set(whole) - set(lost) == {"dense_2.kernel", "dense_2.bias"}
    assert (lost["dense_3.kernel"].value == whole["dense_3.kernel"].value).all()


def test_any_call_of_a_shared_layer_may_move_its_state_again() -> None:
    """The last segment of the block is not recomputed by itself, and the block is as a whole."""
    nodes = (Node(0, (0,)), Node(1, (1,)), Node(1, (2,)))
    shared = Block(members=(Tanh(), BatchNorm()), nodes=nodes)
    layers: Any = (Dense(units=3), shared, Dense(units=2), Dense(units=1))
    case = torch_case(layers, (Step(0),) * 5)
    realisation = replace(case.realisations["torch"], mode="checkpointed_sequential")
    verdict = judge(replace(case, realisations={"torch": realisation}).check(), "torch")
    assert not verdict.violations
    assert {f.issue for f in verdict.findings} == {"torch-checkpoint-moves-states-twice"}


def test_the_longest_run_of_calls_that_nothing_else_reads_is_a_chain() -> None:
    members = (Dense(units=2), Tanh(), Dense(units=2), Add())
    skipped = (Node(0, (0,)), Node(1, (1,)), Node(2, (2,)), Node(3, (1, 3)))
    assert chain(Block(members=members, nodes=skipped)) == range(1, 3)
    assert chain(Block(members=members[:3], nodes=skipped[:3])) == range(3)
    assert chain(Block(members=members[:3], nodes=skipped[:3]), taps=(2,)) == range(2)
    assert chain(Block(members=members[:1], nodes=skipped[:1])) == range(0)


def test_a_chain_is_given_to_checkpoint_sequential_as_modules_and_functions() -> None:
    source = BACKENDS["torch"].render(recomputing(Gradient(0), mode="checkpointed_sequential"))
    called = "self.dense_0, self.tanh_1, self.dense_2, self.dense_3, self.dense_4"
    assert f"checkpoint_sequential([{called}], 3, x0, use_reentrant=False)" in source


SEQUENCE = "checkpointed_sequential_reentrant"


def test_a_reentrant_sequence_starts_behind_the_inputs_and_keeps_its_last_segment() -> None:
    case = recomputing(Gradient(0), mode=SEQUENCE)
    source = BACKENDS["torch"].render(case)
    called = "self.tanh_1, self.dense_2, self.dense_3, self.dense_4"
    assert f"checkpoint_sequential([{called}], 3, x1, use_reentrant=True)" in source
    assert stretches(case.architecture, sequence=True) == (1, 2)


def test_a_segment_behind_a_frozen_start_takes_those_behind_it_with_it() -> None:
    architecture = recomputing(Gradient(0), mode=SEQUENCE).architecture
    behind = frozenset(architecture.weights) - {*architecture.weights_in("dense_0")}
    assert without_inputs(architecture, (1, 2), behind, ()) == {1, 2}
    assert without_inputs(architecture, (1, 2), behind, (0,)) == frozenset()


def test_a_reentrant_sequence_loses_gradients_as_documented_and_no_others() -> None:
    program = (Gradient(0), Freeze("dense_0"), Gradient(0), Step(0), Thaw("dense_0"), Step(0))
    findings = judge(recomputing(*program, mode=SEQUENCE), "torch").findings
    assert {(f.severity, f.issue) for f in findings} == {("hazard", ISSUE)}
    without = {f.subject for f in findings if f.property_ == "upstream_gradients"}
    assert without == {"dense_2.kernel", "dense_2.bias"}
    assert {f.action for f in findings} == {2, 3}
