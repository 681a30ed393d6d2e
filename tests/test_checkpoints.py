"""Checkpoints that carry the optimizer: training goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from forging import at, point_of, torch_case
from hypothesis import given

from invariants import faults, ledger
from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.average import Average
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation
from invariants.generate.cases import cases
from invariants.judge import gather, judge
from invariants.objective import Term
from invariants.observation import same_bits
from invariants.optimizer import ASGD, LBFGS, SGD, Adam, Muon, NAdam
from invariants.oracle.contract import CONTRACTS
from invariants.program import Action, Compile, Freeze, Reload, SetRate, Step, Thaw
from invariants.properties import findings
from invariants.schedule import Cosine, Exponential, Linear, MultiStep

WAYS = ("checkpoint", "new_module_checkpoint")
FROZEN = "dense_2.kernel"
PROGRAM = (Step(0), Freeze("dense_2"), Step(0), SetRate(0.5), Reload(), Step(0))

needs_tensorflow = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def torch(reload: str, program: tuple[Action, ...] = PROGRAM, **options: Any) -> Case:
    """A case on torch that goes by one way of reloading."""
    freeze, chosen = options.pop("freeze", "requires_grad_"), options.pop("chosen", {})
    layers = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))
    made = torch_case(layers, (Step(0),), **{"optimizer": Adam(), **options})
    ways = tuple(
        reload if isinstance(a, Reload) else freeze if isinstance(a, Freeze | Thaw) else None
        for a in program
    )
    realisations = {"torch": Realisation("eager", ways, chosen)}
    return replace(made, program=program, realisations=realisations).check()


def keras(program: tuple[Action, ...] = PROGRAM, **options: Any) -> Case:
    """A compiled case on Keras that is saved with its optimizer."""
    layers = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))
    made = torch_case(layers, (Step(0),), **{"optimizer": Adam(), **options})
    ways = tuple(
        "compiled_file"
        if isinstance(a, Reload)
        else "layer_trainable"
        if isinstance(a, Freeze | Thaw)
        else None
        for a in program
    )
    realisation = Realisation("fit", ways, {"optimizer_build": "ahead"})
    return replace(made, program=program, realisations={"tensorflow": realisation}).check()


def unloaded(case: Case) -> Case:
    """The case without its reload."""
    kept = [n for n, action in enumerate(case.program) if not isinstance(action, Reload)]
    realisations = {
        name: replace(r, ways=tuple(r.ways[n] for n in kept))
        for name, r in case.realisations.items()
    }
    program = tuple(case.program[n] for n in kept)
    return replace(case, program=program, realisations=realisations).check()


def last_weights(case: Case, backend: str) -> dict[str, Any]:
    evidence = gather(case, backend)
    return dict(point_of(evidence.observation, len(case.program) - 1).weights)


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.5), Adam(), NAdam(), Muon(), LBFGS(), ASGD()])
def test_training_goes_on_to_the_bit(optimizer: Any) -> None:
    loaded = torch("checkpoint", optimizer=optimizer, dtype="float32")
    assert not judge(loaded, "torch").violations
    without = last_weights(unloaded(loaded), "torch")
    assert all(same_bits(w, without[n]) for n, w in last_weights(loaded, "torch").items())


def test_a_new_module_goes_on_with_the_slots_and_is_trainable_again() -> None:
    evidence = gather(torch("new_module_checkpoint"), "torch")
    assert not findings(evidence)
    before, after = (point_of(evidence.observation, n) for n in (2, 5))
    assert not before.flags[FROZEN]
    assert after.flags[FROZEN]
    assert after.slots[FROZEN]["step"] == before.slots[FROZEN]["step"] + 1


@pytest.mark.parametrize("way", WAYS)
def test_a_lost_slot_is_found(way: str) -> None:
    evidence = gather(torch(way), "torch")
    weight = point_of(evidence.observation, 2).weights["dense_0.kernel"]
    lost = at(evidence, 5, "weights", "dense_0.kernel", weight - 1.0)
    assert "training_trajectory" in {f.property_ for f in findings(lost)}


def test_an_optimizer_without_a_layer_is_loaded_without_it() -> None:
    case = torch("checkpoint", freeze="left_out")
    evidence = gather(case, "torch")
    assert not findings(evidence)
    source = BACKENDS["torch"].render(case)
    assert source.count('if not name.startswith(("dense_2.",))]') == 2


def test_the_state_of_other_weights_is_refused() -> None:
    scoped = {"optimizer_scope": "trainable"}
    with pytest.raises(CaseError, match=r"ways\[4\]: the saved optimizer is one of other weights"):
        torch("checkpoint", chosen=scoped)
    same = (Freeze("dense_2"), Compile(), Step(0), Reload(), Step(0))
    assert not judge(torch("checkpoint", same, chosen=scoped), "torch").violations


@pytest.mark.parametrize("optimizer", [SGD(), Muon()])
@pytest.mark.parametrize(
    "schedule",
    [MultiStep(milestones=(1, 3)), Cosine(steps=4), Exponential(decay=0.5), Linear(steps=4)],
    ids=lambda s: s.kind,
)
@pytest.mark.parametrize("way", WAYS)
def test_a_schedule_goes_on_from_where_it_was_saved(
    way: str, schedule: Any, optimizer: Any
) -> None:
    program = (Step(0), Step(0), Reload(), Step(0), Step(0))
    loaded = torch(way, program, optimizer=optimizer, schedule=schedule)
    assert not judge(loaded, "torch").violations
    without = last_weights(unloaded(loaded), "torch")
    assert all(same_bits(w, without[n]) for n, w in last_weights(loaded, "torch").items())


@pytest.mark.parametrize("average", [Average(decay=0.5), Average(kind="equal", buffers=True)])
@pytest.mark.parametrize("way", WAYS)
def test_averages_go_on_from_where_they_were_saved(way: str, average: Average) -> None:
    program = (Step(0), Step(0), Reload(), Step(0))
    loaded = torch(way, program, average=average)
    evidence = gather(loaded, "torch")
    assert not findings(evidence)
    unbroken = gather(unloaded(loaded), "torch")
    after = point_of(evidence.observation, 3).averages
    without = point_of(unbroken.observation, 2).averages
    assert after.keys() == without.keys()
    assert all(same_bits(after[n], without[n]) for n in after)


@pytest.mark.parametrize("name", ["schedule_load_counts_anew", "average_load_forgets"])
def test_a_load_that_begins_anew_is_found(name: str) -> None:
    fault = next(fault for fault in faults.of("torch") if fault.name == name)
    program = (Step(0), Step(0), Reload(), Step(0), Step(0))
    both = {"schedule": MultiStep(milestones=(1, 2)), "average": Average(decay=0.5)}
    case = torch("new_module_checkpoint", program, optimizer=SGD(), **both)
    with fault.apply():
        assert {f.property_ for f in judge(case, "torch").violations} == {"training_trajectory"}


def test_groups_that_a_rate_of_zero_has_made_are_refused() -> None:
    with pytest.raises(CaseError, match="other weights or groups"):
        torch("checkpoint", freeze="rate_zero")


def test_a_tape_has_no_compiled_file() -> None:
    fitted = keras((Step(0), Reload(), Step(0)))
    realisation = replace(fitted.realisations["tensorflow"], mode="tape")
    with pytest.raises(CaseError, match=r"ways\[1\]: a reload here goes by set_weights"):
        replace(fitted, realisations={"tensorflow": realisation}).check()


@pytest.mark.parametrize("kind", [ASGD, NAdam])
def test_a_float64_weight_is_moved_by_scalars_as_they_are_loaded(kind: Any) -> None:
    """NAdam's goes on in float64, ASGD's is worked out anew in float32 at each step."""
    program = (*[Step(0)] * 3, Reload(), *[Step(0)] * 3, Reload(), Step(0))
    verdict = judge(torch("checkpoint", program, optimizer=kind()), "torch")
    assert not verdict.violations
    assert {f.issue for f in verdict.findings} == {"torch-float32-counters"}


@pytest.mark.parametrize("kind", [ASGD, NAdam])
def test_scalars_that_are_rounded_are_a_known_issue(kind: Any) -> None:
    program = (Step(0), Step(0), Freeze("dense_2"), Reload(), Step(0))
    rounded = torch("checkpoint", program, optimizer=kind(), dtype="bfloat16")
    found = judge(rounded, "torch").findings
    assert "torch-load-rounds-scalars" in {f.issue for f in found}
    assert not [f for f in found if f.severity == "violation"]


def test_after_a_load_that_rounds_no_step_is_known() -> None:
    program = (Step(0), Reload(), Step(0))
    case = torch("checkpoint", program, optimizer=ASGD(), dtype="bfloat16")
    issue = next(i for i in ledger.known_issues() if i.id == "torch-load-rounds-scalars")
    told = CONTRACTS["torch"].as_if(issue.as_if)
    assert all(moment.unsettled == "" for moment in case.course("torch", told))
    assert case.course("torch", told)[1].loads


@needs_tensorflow
def test_the_file_of_a_compiled_model_goes_on_with_slots_flags_and_rate() -> None:
    program = (Freeze("dense_2"), Compile(), Step(0), SetRate(0.5), Step(0), Reload(), Step(0))
    loaded = keras(program, optimizer=Adam(beta_1=0.875, beta_2=0.9375))
    assert not judge(loaded, "tensorflow").violations
    without = last_weights(unloaded(loaded), "tensorflow")
    after = last_weights(loaded, "tensorflow")
    assert all(same_bits(w, without[n]) for n, w in after.items())


@needs_tensorflow
def test_the_file_of_a_compiled_model_goes_on_with_schedule_and_averages() -> None:
    program = (Step(0), Step(0), Reload(), Step(0), Step(0))
    both = {"schedule": MultiStep(milestones=(1, 3)), "average": Average(decay=0.5)}
    loaded = keras(program, optimizer=SGD(), dtype="float32", **both)
    assert not judge(loaded, "tensorflow").violations
    without = last_weights(unloaded(loaded), "tensorflow")
    after = last_weights(loaded, "tensorflow")
    assert all(same_bits(w, without[n]) for n, w in after.items())


@needs_tensorflow
@pytest.mark.parametrize("name", ["optimizer_load_forgets_slots", "optimizer_load_counts_anew"])
def test_an_optimizer_that_loads_less_than_it_saved_is_found(name: str) -> None:
    fault = next(fault for fault in faults.of("tensorflow") if fault.name == name)
    program = (Step(0), Step(0), Reload(), Step(0))
    loaded = keras(program, optimizer=Adam(beta_1=0.875, beta_2=0.9375))
    with fault.apply():
        found = judge(loaded, "tensorflow").violations
    assert "training_trajectory" in {f.property_ for f in found}
    assert not judge(loaded, "tensorflow").violations


@needs_tensorflow
def test_a_huber_loss_that_forgets_its_delta_is_a_known_issue() -> None:
    program = (Step(0), Reload(), Step(0))
    found = judge(
        keras(program, optimizer=SGD(), objective=(Term(loss="huber", delta=0.125),)), "tensorflow"
    )
    assert "keras-huber-forgets-delta" in {f.issue for f in found.findings}
    assert not found.violations
    again = (Step(0), Reload(), Compile(), Step(0))
    found = judge(
        keras(again, optimizer=SGD(), objective=(Term(loss="huber", delta=0.125),)), "tensorflow"
    )
    assert "keras-huber-forgets-delta" not in {f.issue for f in found.findings}


@given(cases(("torch",)))
def test_every_drawn_load_is_settled(case: Case) -> None:
    assert not any(moment.unsettled for moment in case.course("torch"))


def test_the_script_saves_what_there_is() -> None:
    both = {"schedule": MultiStep(milestones=(1,)), "average": Average()}
    source = BACKENDS["torch"].render(torch("checkpoint", **both))
    assert '"scheduler": scheduler.state_dict(), "averaged": averaged.state_dict()}' in source
    assert 'scheduler.load_state_dict(saved["scheduler"])' in source
    assert 'averaged.load_state_dict(saved["averaged"])' in source

    source = BACKENDS["torch"].render(torch("new_module_checkpoint"))
    assert '{"model": model.state_dict(), "optimizer": optimizer.state_dict()}' in source
    assert 'optimizer.load_state_dict(saved["optimizer"])' in source
    fitted = BACKENDS["tensorflow"].render(keras((Step(0), Reload(), Step(0))))
    assert "model = keras.models.load_model(file, custom_objects=CUSTOM)" in fitted
    assert "optimizer = model.optimizer" in fitted
