"""The modes of a program: what they add to a script, and what they may change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import torch_case
from hypothesis import Phase, find, given, seed, settings
from tests_support import simple_case

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.architecture.layers.recurrent import LSTM
from invariants.backends import BACKENDS
from invariants.case import Case, CaseError, frozen, read_case
from invariants.generate.cases import cases
from invariants.judge import judge
from invariants.ledger import KnownIssue, known_issues, pinned_case
from invariants.objective import Term
from invariants.oracle.contract import CONTRACTS, Mode
from invariants.program import Action, Compile, Freeze, Gradient, Step, Thaw

_MODES = [
    pytest.param(backend, mode, id=f"{backend}-{mode.name}")
    for backend, contract in CONTRACTS.items()
    for mode in contract.modes
]


def in_mode(case: Case, backend: str, mode: str) -> Case:
    return replace(
        case, realisations={backend: replace(case.realisations[backend], mode=mode)}
    ).check()


@pytest.mark.parametrize(("backend", "mode"), _MODES)
def test_every_mode_is_drawn_where_it_is_asked_for(backend: str, mode: Mode) -> None:
    case = find(
        cases((backend,), mode=mode.name),
        lambda case: case.realisations[backend].mode == mode.name,
        settings=settings(database=None, phases=[Phase.generate]),
    )
    compile(BACKENDS[backend].render(case), "<case>", "exec")


@pytest.mark.parametrize(("backend", "mode"), _MODES)
def test_every_mode_says_where_it_is_documented(backend: str, mode: Mode) -> None:
    assert mode.sentence
    assert mode.source.startswith("https://")
    assert mode.seconds > 0.0


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be one of eager, compiled"):
        cases(("torch",), mode="compield")


@pytest.mark.parametrize(
    "mode",
    [
        mode.name
        for mode in CONTRACTS["torch"].modes
        # A region that is kept sees no step, as known.
        if mode.traits and mode.seconds < 5.0 and "kept" not in mode.traits
    ],
)
def test_freezing_and_thawing_are_seen_in_every_mode(mode: str) -> None:
    """A graph that was compiled under other flags, or a stretch that is recomputed."""
    verdict = judge(in_mode(simple_case(), "torch", mode), "torch")
    assert verdict.findings == ()
    assert verdict.measures.gradients > 0


@pytest.mark.parametrize("mode", ["compiled", "compiled_in_place"])
def test_what_is_compiled_once_is_called_in_every_action(mode: str) -> None:
    source = BACKENDS["torch"].render(in_mode(simple_case(), "torch", mode))
    assert source.count('backend="aot_eager"') == 1
    assert ("= run(x0)" in source or "(run(x0)" in source) is (mode == "compiled")


def test_an_evaluation_stands_in_the_very_region_that_trains_behind_it() -> None:
    case = torch_case((Dense(units=1),), (Gradient(0),), dtype="float32")
    lines = BACKENDS["torch"].render(in_mode(case, "torch", "autocast_evaluated")).splitlines()
    region = next(n for n, line in enumerate(lines) if "with torch.autocast" in line)
    inside = [line.strip() for line in lines[region + 1 : region + 6]]
    assert inside[:4] == ["model.eval()", "with torch.no_grad():", "model(x0)", "model.train()"]
    assert "model(x0)" in inside[4]


@pytest.mark.parametrize("mode", [m.name for m in CONTRACTS["tensorflow"].modes if m.trains_itself])
def test_what_a_model_trains_by_itself_is_what_one_can(mode: str) -> None:
    @seed(0)
    @settings(max_examples=20, database=None, deadline=None, phases=(Phase.generate,))
    @given(cases(("tensorflow",), mode=mode))
    def checked(case: Case) -> None:
        assert case.check().realisations["tensorflow"].mode == mode

    checked()


def test_what_the_loss_does_not_reach_has_zeros_from_a_transformed_function() -> None:
    case = in_mode(_with_an_idle_head(), "torch", "functional")
    verdict = judge(case, "torch")
    assert verdict.findings == ()
    gradients = verdict.evidence.observation.points[-1].gradients
    idle = gradients["dense_1.kernel"]
    assert idle is not None
    assert not idle.any()


MODEL_HOOK = "torch-model-hook-zeros-for-unreached"


def test_a_hook_on_the_model_changes_nothing_where_the_loss_reaches_all() -> None:
    case = in_mode(simple_case(), "torch", "hooked_model")
    lines = BACKENDS["torch"].render(case).splitlines()
    assert lines.count("model.register_full_backward_hook(passed_on)") == 1
    verdict = judge(case, "torch")
    assert verdict.findings == ()
    assert verdict.measures.gradients > 0


def test_a_hook_on_the_model_leaves_an_idle_head_without_a_gradient() -> None:
    case = in_mode(_with_an_idle_head(), "torch", "hooked_model")
    assert judge(case, "torch").findings == ()


@pytest.mark.parametrize(
    ("mode", "output", "found"),
    [
        ("hooked_model", 0, {(MODEL_HOOK, "input_0")}),
        ("hooked_model", 1, {(MODEL_HOOK, "input_1")}),
        ("hooked", 0, set()),
    ],
)
def test_a_hook_on_the_model_gives_an_idle_input_zeros_as_known(
    mode: str, output: int, found: set[tuple[str, str]]
) -> None:
    verdict = judge(in_mode(_with_an_idle_input(output), "torch", mode), "torch")
    assert {(f.issue, f.subject) for f in verdict.findings} == found


def test_a_tangent_of_the_wrong_dtype_stops_before_a_further_batch_moves_a_state() -> None:
    layers, program = (BatchNorm(), Dense(units=1)), (Step(0, (0,)), Compile())
    scaled = torch_case(layers, program, dtype="float32", objective=(Term(weight=0.25),))
    verdict = judge(in_mode(scaled, "torch", "forward_mode"), "torch")
    assert {f.issue for f in verdict.findings} == {"torch-forward-mode-scales-in-double"}


def test_forward_mode_is_not_asked_for_what_has_no_tangent() -> None:
    case = torch_case((LSTM(units=2),), (Gradient(0),), inputs=(3, 2))
    with pytest.raises(CaseError, match="forward_mode does not take lstm: torch has no forward"):
        in_mode(case, "torch", "forward_mode")


@pytest.mark.parametrize("mode", ["eager", "forward_mode"])
def test_with_nothing_to_train_a_forward_pass_has_run_where_it_comes_first(mode: str) -> None:
    layers = (BatchNorm(), Dense(units=1))
    program = (Freeze(""), Gradient(0), Thaw(""), Gradient(0))
    case = in_mode(torch_case(layers, program, inputs=(3,)), "torch", mode)
    assert judge(case, "torch").findings == ()


def _with_an_idle_input(output: int) -> Case:
    """Two inputs, each of which an output of its own depends on; the loss has one of these."""
    case = torch_case((Dense(units=1), Dense(units=1)), (Gradient(0),), inputs=(1,))
    (batch,) = case.batches
    network = replace(case.architecture.network, arity=2, nodes=(Node(0, (0,)), Node(1, (1,))))
    return replace(
        case,
        architecture=Architecture((Spec((1,)), Spec((1,))), network, taps=(2,)),
        batches=(replace(batch, inputs=(*batch.inputs, *batch.inputs)),),
        objective=(Term(output=output),),
        input_gradient=True,
    ).check()


def _with_an_idle_head() -> Case:
    case = torch_case((Dense(units=2), Dense(units=1), Dense(units=1)), (Gradient(0),))
    block = Block(
        members=case.architecture.network.members,
        nodes=(Node(0, (0,)), Node(1, (1,)), Node(2, (1,))),
    )
    architecture = Architecture(case.architecture.inputs, block, taps=(2,))
    weights = {**case.weights, "dense_2.kernel": case.weights["dense_1.kernel"]}
    return replace(case, architecture=architecture, weights=weights).check()


def test_a_function_of_nothing_has_no_gradient_and_raises_nothing() -> None:
    case = torch_case((Dense(units=1),), (Freeze(""), Gradient(0), Step(0), Thaw(""), Step(0)))
    assert judge(case, "torch").findings == ()
    transformed = judge(in_mode(case, "torch", "functional"), "torch")
    assert transformed.findings == ()
    assert transformed.evidence.observation.errors == {}


def _in_one_region(*program: Action) -> Case:
    layers = (Dense(units=2), Dense(units=1))
    case = torch_case(layers, program, dtype="float32", input_gradient=True)
    return in_mode(case, "torch", "autocast_kept")


def test_a_kept_region_holds_the_program_and_leaves_out_what_goes_backward() -> None:
    lines = BACKENDS["torch"].render(_in_one_region(Step(0))).splitlines()
    (region,) = (n for n, line in enumerate(lines) if line.startswith("with torch.autocast"))
    assert all(not line or line.startswith("    ") for line in lines[region + 1 :])
    off = 'with torch.autocast("cpu", enabled=False):'
    inside = [lines[n + 1].strip() for n, line in enumerate(lines) if line.strip() == off]
    assert inside == ["loss.backward()", "optimizer.step()"]


def test_a_kept_region_goes_on_with_old_casts_until_a_weight_is_frozen() -> None:
    """And once more where it is thawed."""
    issue = "torch-autocast-keeps-casts"
    assert judge(_in_one_region(Gradient(0), Gradient(0)), "torch").findings == ()
    moved = judge(_in_one_region(Step(0), Gradient(0)), "torch").findings
    assert {f.issue for f in moved} == {issue}
    program = (Step(0), Freeze("dense_0"), Freeze("dense_1"), Gradient(0))
    assert judge(_in_one_region(*program), "torch").findings == ()
    thawed = judge(_in_one_region(*program, Thaw("dense_1"), Gradient(0)), "torch").findings
    assert {f.issue for f in thawed} == {issue}


def test_a_fused_step_misreads_an_assigned_gradient_as_known() -> None:
    case = read_case(pinned_case(_issue("torch-fused-gradient-layout")))
    loops = {"fused", "for-loop"}
    found = {}
    for loop in loops:
        realisation = case.realisations["torch"]
        options = {**realisation.options, "optimizer_loop": loop}
        other = replace(case, realisations={"torch": replace(realisation, options=options)})
        found[loop] = {f.issue for f in judge(other, "torch").findings}
    assert found == {"fused": {"torch-fused-gradient-layout"}, "for-loop": set()}


def _issue(name: str) -> KnownIssue:
    return next(issue for issue in known_issues() if issue.id == name)


@pytest.mark.parametrize(
    ("term", "counted"),
    [
        (Term(), "loss = share * loss_function("),
        (Term(reduction="sum"), "loss = loss_function("),
        (Term(weighting="mask"), "* w).sum()"),
    ],
)
def test_the_gradients_of_samples_add_up_to_that_of_the_batch(term: Term, counted: str) -> None:
    """Each with its share of a mean; a mean of what a mask leaves is shared by the mask."""
    case = torch_case((Dense(units=2), Dense(units=1)), (Gradient(0), Freeze("dense_1"), Step(0)))
    (batch,) = case.batches
    weights = frozen(np.array([1.0, 0.0, 1.0, 1.0])) if term.weighting == "mask" else None
    case = replace(case, objective=(term,), batches=(replace(batch, weights=(weights,)),))
    case = in_mode(case, "torch", "per_sample")
    source = BACKENDS["torch"].render(case)
    assert counted in source
    assert ("(w / w.sum()).unsqueeze(1)" in source) is (term.weighting == "mask")
    verdict = judge(case, "torch")
    assert verdict.findings == ()
    assert verdict.measures.gradients > 0


@pytest.mark.parametrize(("mode", "why"), [("per_sample", "couple"), ("linearized", "captures")])
def test_a_batch_norm_is_refused_where_samples_or_calls_stand_alone(mode: str, why: str) -> None:
    case = torch_case((Dense(units=2), BatchNorm()), (Gradient(0),))
    with pytest.raises(CaseError, match=f"{mode} does not take batch_norm: .*{why}"):
        in_mode(case, "torch", mode)
