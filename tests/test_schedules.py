"""Schedules in whole programs: groups, thaws, new optimizers, and rates that are set meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from forging import point_of, torch_case, with_points
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings

from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation
from invariants.finding import Finding
from invariants.generate.cases import cases
from invariants.judge import gather, judge
from invariants.ledger import known_issues
from invariants.observation import Array, ObservedPoint
from invariants.optimizer import LBFGS, SGD, Adam, Muon, RMSprop
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.program import Compile, Freeze, SetRate, Step, Thaw
from invariants.properties import findings
from invariants.properties.evidence import Evidence
from invariants.schedule import Cosine, Exponential, InverseTime, Linear, MultiStep, Polynomial

LAYERS = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))

SCHEDULES = (
    Exponential(decay=0.9),
    Exponential(decay=0.5, steps=2, stairs=True),
    Exponential(decay=0.5, steps=2),
    MultiStep(milestones=(1, 3), decay=0.1),
    Linear(first=1 / 3, last=1.0, steps=3),
    Polynomial(steps=3),
    Cosine(steps=2, least=0.25),
    InverseTime(decay=0.5, steps=2),
)


def case(program: tuple[Any, ...], **options: Any) -> Case:
    settings: dict[str, Any] = {"optimizer": SGD(), "schedule": Exponential(), **options}
    return torch_case(LAYERS, program, **settings)


def on_keras(case: Case, mode: str = "tape", **options: str) -> Case:
    ways = tuple("layer_trainable" if isinstance(a, Freeze | Thaw) else None for a in case.program)
    return replace(case, realisations={"tensorflow": Realisation(mode, ways, options)}).check()


def sound(case: Case) -> Evidence:
    evidence = gather(case, "torch")
    assert not findings(evidence)
    return evidence


def moved(evidence: Evidence, before: int, after: int, name: str) -> Array:
    first, last = (point_of(evidence.observation, n).weights[name] for n in (before, after))
    return last - first


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.5), Adam(), RMSprop(), Muon(), LBFGS()])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.kind)
def test_torch_follows_every_schedule_with_its_optimizers(schedule: Any, optimizer: Any) -> None:
    sound(case((Step(0),) * 6, schedule=schedule, optimizer=optimizer))


def test_a_thawed_layer_trains_at_the_rate_that_the_schedule_has_by_then() -> None:
    program = (Freeze("dense_2"), Step(0), Step(0), Thaw("dense_2"), Step(0))
    late = sound(case(program, schedule=MultiStep(milestones=(2,), decay=0.0)))
    assert not moved(late, 2, 4, "dense_2.kernel").any()
    early = sound(case(program, schedule=MultiStep(milestones=(3,), decay=0.0)))
    assert moved(early, 2, 4, "dense_2.kernel").all()


def test_every_group_decays_from_its_own_rate() -> None:
    groups = {"dense_0": 0.03125}
    evidence = sound(case((Step(0), Step(0), Step(0)), groups=groups))
    plain = sound(case((Step(0), Step(0), Step(0)), groups=groups, schedule=None))
    for name in ("dense_0.bias", "dense_3.bias"):
        assert (abs(moved(evidence, 0, 1, name)) < abs(moved(plain, 0, 1, name))).all()


def test_a_new_optimizer_begins_its_schedule_anew() -> None:
    ends = MultiStep(milestones=(1,), decay=0.0)
    evidence = sound(case((Step(0), Step(0), Compile(), Step(0)), schedule=ends))
    assert not moved(evidence, 0, 1, "dense_3.bias").any()
    assert moved(evidence, 1, 3, "dense_3.bias").any()


def test_a_step_with_nothing_to_train_does_not_count() -> None:
    program = (Freeze(""), Step(0), Thaw(""), Step(0), Step(0))
    evidence = sound(case(program, schedule=MultiStep(milestones=(1,), decay=0.0)))
    assert moved(evidence, -1, 3, "dense_3.bias").any()
    assert not moved(evidence, 3, 4, "dense_3.bias").any()


@pytest.mark.parametrize(
    "schedule", [Exponential(), MultiStep(milestones=(1, 3)), Linear(last=0.25)]
)
def test_a_rate_that_is_set_in_torch_goes_on_decaying(schedule: Any) -> None:
    sound(case((Step(0), Step(0), SetRate(2.0), Step(0), Step(0), Step(0)), schedule=schedule))


@pytest.mark.parametrize("schedule", [Cosine(), InverseTime(), Polynomial()])
def test_where_no_documentation_says_what_a_set_rate_becomes_it_is_refused(schedule: Any) -> None:
    said = f"no documentation says what {schedule.kind} makes of a rate that is set meanwhile"
    with pytest.raises(CaseError, match=said):
        case((Step(0), SetRate(2.0), Step(0)), schedule=schedule)


def test_freezing_by_a_rate_of_zero_is_refused_under_a_schedule() -> None:
    plain = case((Freeze("dense_0"), Step(0)))
    realisation = replace(plain.realisations["torch"], ways=("rate_zero", None))
    with pytest.raises(CaseError, match="a schedule goes on from a rate of 0"):
        replace(plain, realisations={"torch": realisation}).check()


def test_a_step_at_the_rate_of_before_is_found() -> None:
    evidence = sound(case((Step(0), Step(0))))
    rate, name = 0.125, "dense_3.bias"
    gradient = point_of(evidence.observation, 1).gradients[name]
    assert gradient is not None

    def changed(point: ObservedPoint) -> ObservedPoint:
        if point.action < 1:
            return point
        weight = point_of(evidence.observation, 0).weights[name] - rate * gradient
        return replace(point, weights={**point.weights, name: weight})

    found: list[Finding] = findings(with_points(evidence, changed))
    assert {f.property_ for f in found} == {"training_trajectory"}


def test_a_fair_share_of_what_is_drawn_has_a_schedule_or_an_average() -> None:
    drawn: list[Case] = []

    @hypothesis_settings(max_examples=400, database=None, phases=[Phase.generate])
    @given(cases(("torch", "tensorflow")))
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    for part in ("schedule", "average"):
        having = [case for case in drawn if getattr(case, part)]
        assert len(having) > 0.05 * len(drawn)
        steps = [sum(isinstance(a, Step) for a in case.program) for case in having]
        assert sum(count > 1 for count in steps) > 0.5 * len(having)


def test_the_scripts_read_as_people_write_them() -> None:
    made = case((Step(0), Compile(), Step(0)), schedule=Cosine(steps=3, least=0.5))
    source = BACKENDS["torch"].render(made)
    line = "scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3, eta_min="
    assert source.count(line) == 2
    assert source.count("optimizer.step()\n    scheduler.step()") == 2
    source = BACKENDS["tensorflow"].render(on_keras(made))
    assert source.count("schedule = keras.optimizers.schedules.CosineDecay(initial_learning_") == 2
    assert "keras.optimizers.SGD(learning_rate=schedule, momentum=0.0" in source


def test_milestones_and_boundaries_name_the_same_step() -> None:
    made = case((Step(0),), schedule=MultiStep(milestones=(2, 3), decay=0.5))
    assert "milestones=[2, 3], gamma=0.5" in BACKENDS["torch"].render(made)
    keras = BACKENDS["tensorflow"].render(on_keras(made))
    assert "boundaries=[1, 2], values=[0.125, 0.0625, 0.03125]" in keras


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
class TestKeras:
    """What a schedule does on Keras; in float32, whose rates it has."""

    @pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.kind)
    def test_keras_follows_every_schedule(self, schedule: Any) -> None:
        program = (Freeze("dense_2"), Step(0), Step(0), Thaw("dense_2"), Step(0), Step(0))
        made = on_keras(case(program, schedule=schedule, dtype="float32", optimizer=Adam()))
        assert not judge(made, "tensorflow").violations

    def test_a_rate_under_a_schedule_cannot_be_set(self) -> None:
        program = (Step(0), SetRate(2.0), Step(0))
        made = on_keras(case(program, dtype="float32"))
        verdict = judge(made, "tensorflow")
        assert not verdict.findings
        assert verdict.evidence.observation.errors[1].kind == "TypeError"

    def test_a_compiled_model_counts_its_steps(self) -> None:
        ends = MultiStep(milestones=(1,), decay=0.0)
        made = on_keras(case((Step(0), Step(0)), schedule=ends, dtype="float32"), "fit")
        verdict = judge(made, "tensorflow")
        assert not verdict.findings
        assert not moved(verdict.evidence, 0, 1, "dense_3.bias").any()


def test_keras_looks_for_unknown_weights_before_muon_raises() -> None:
    contract = CONTRACTS["tensorflow"]
    muon = next(i for i in known_issues() if i.id == "keras-muon-schedule")
    program = (Freeze("dense_0"), Compile(), Step(0), Thaw("dense_0"), Step(0))
    made = on_keras(
        case(program, optimizer=Muon()), optimizer_call="apply", optimizer_build="ahead"
    )
    points = expect(made, "tensorflow", contract.as_if(muon.as_if)).points
    assert [p.raises for p in points if p.raises] == [
        tuple(muon.as_if["muon_under_a_schedule"][0]),
        contract["unknown_weight"],
    ]


@pytest.mark.parametrize("mode", ["function", "fit"])
def test_a_step_of_muon_that_raised_while_it_was_traced_leaves_no_trace(mode: str) -> None:
    """What is thawed behind it counts at the next step, which finds it unknown."""
    if not installed("tensorflow"):
        pytest.skip("TensorFlow is not installed")
    program = (Freeze("dense_0"), Compile(), Step(0), Thaw("dense_0"), Step(0))
    made = on_keras(case(program, optimizer=Muon()), mode, optimizer_build="ahead")
    verdict = judge(made, "tensorflow")
    assert not verdict.violations
    assert "Unknown variable" in verdict.evidence.observation.errors[4].message
