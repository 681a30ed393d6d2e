"""A reduced case is valid, smaller, and still shows what it showed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from tests_support import simple_case

from invariants.architecture.layers.base import ShapeError
from invariants.average import Average
from invariants.case import Case, CaseError, from_json
from invariants.generate.cases import cases
from invariants.oracle.interpreter import expect
from invariants.program import Freeze, Gradient, Step, Thaw
from invariants.reduction import reduced
from invariants.reduction.edits import EDITS, plainer_changes
from invariants.schedule import Cosine

FOREVER = 60.0  # seconds; every reduction here is over long before


def size(case: Case) -> tuple[int, int, int]:
    """How large a case is to a reader: layers, actions, numbers."""
    return (
        len(case.architecture.layers),
        len(case.program),
        sum(array.size for array in case.weights.values()),
    )


def kinds(case: Case) -> list[str]:
    return [placed.layer.kind for placed in case.architecture.layers]


def freezes_the_layer(case: Case, kind: str) -> bool:
    """Whether a gradient is taken while all weights of a layer of `kind` are frozen."""
    layers = [p for p in case.architecture.layers if p.layer.kind == kind]
    return any(
        set(case.architecture.weights_in(placed.path)) <= flags.frozen
        for action, flags in zip(case.program, case.flags("torch"), strict=True)
        for placed in layers
        if isinstance(action, Gradient | Step)
    )


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@settings(max_examples=15)
@given(case=cases(("torch", "tensorflow")))
def test_a_valid_candidate_runs_on_the_tape_and_reads_back(
    edit: Callable[..., object], case: Case
) -> None:
    for candidate in itertools.islice(edit(case), 5):  # type: ignore[call-overload]
        try:
            read = from_json(candidate.to_json())
        except (CaseError, ShapeError):
            continue
        assert read == candidate
        for backend in candidate.realisations:
            expect(candidate, backend)


@settings(max_examples=40)
@given(case=cases(("torch",)), kind=st.sampled_from(["dense", "conv2d", "batch_norm", "relu"]))
def test_a_layer_that_matters_is_kept_and_most_of_the_rest_is_not(case: Case, kind: str) -> None:
    if kind not in kinds(case):
        return
    smallest = reduced(case, lambda smaller: kind in kinds(smaller), FOREVER)
    assert kind in kinds(smallest)
    assert size(smallest) <= size(case)
    assert len(kinds(smallest)) <= 3  # it, one with a weight where it has none, their sum
    assert [action.action for action in smallest.program] == ["gradient"]
    # an LSTM of one unit (8) behind a batch norm of one channel (4) is as large as two layers get
    assert sum(array.size for array in smallest.weights.values()) <= 12


@settings(max_examples=25)
@given(case=cases(("torch", "tensorflow")))
def test_what_is_frozen_is_still_frozen_under_its_new_name(case: Case) -> None:
    if not freezes_the_layer(case, "dense"):
        return
    smallest = reduced(case, lambda smaller: freezes_the_layer(smaller, "dense"), FOREVER)
    assert freezes_the_layer(smallest, "dense")
    assert kinds(smallest) == ["dense"]
    assert [action.action for action in smallest.program] == ["freeze", "gradient"]


def test_settings_that_contradict_one_another_end_as_what_they_come_to() -> None:
    case = simple_case()
    head, stem = "dense_3", "dense_0"
    settings_ = (Freeze(""), Freeze(head), Thaw(head), Thaw(stem), Thaw(stem), Freeze("dense_2"))
    ways = {"torch": "each_parameter", "tensorflow": "each_variable"}
    contradicting = replace(
        case,
        program=(*settings_, Gradient(0)),
        realisations={
            name: replace(r, ways=(*[ways[name]] * len(settings_), None))
            for name, r in case.realisations.items()
        },
    ).check()

    def shows(smaller: Case) -> bool:
        frozen = smaller.flags("torch")[-1].frozen
        return frozen == {"dense_2.kernel", "dense_2.bias"} and "tensorflow" in smaller.realisations

    (plain,) = plainer_changes(contradicting)
    assert plain.program == (Freeze("dense_2"), Gradient(0))
    assert plain.realisations["tensorflow"].ways == ("each_variable", None)
    assert not list(plainer_changes(plain))
    smallest = reduced(contradicting, lambda c: "torch" in c.realisations and shows(c), FOREVER)
    assert smallest.program == (Freeze("dense_2"), Gradient(0))


def test_schedule_and_average_go_where_they_do_not_matter_and_keep_what_does() -> None:
    case = replace(
        simple_case(), schedule=Cosine(steps=3, least=0.25), average=Average(decay=0.5)
    ).check()
    plain = reduced(case, lambda smaller: True, FOREVER)
    assert plain.schedule is None
    assert plain.average is None
    kept = reduced(case, lambda smaller: bool(smaller.schedule) and bool(smaller.average), FOREVER)
    assert (kept.schedule, kept.average) == (Cosine(), Average())


def test_a_reduced_case_is_its_own_reduction() -> None:
    def shows(case: Case) -> bool:
        return "layer_norm" in kinds(case)

    drawn = settings(phases=[Phase.generate], database=None)
    with_one = cases(("torch",), layer="layer_norm")
    case = find(with_one, lambda c: shows(c) and len(kinds(c)) > 5, settings=drawn)
    smallest = reduced(case, shows, FOREVER)
    assert reduced(smallest, shows, FOREVER) == smallest


def test_without_time_the_case_stays_as_it_is() -> None:
    case = simple_case()
    assert reduced(case, lambda smaller: True, 0.0) == case


def test_nothing_that_does_not_show_it_is_returned() -> None:
    case = simple_case()
    assert reduced(case, lambda smaller: smaller == case, FOREVER) == case


def test_names_of_later_members_close_the_gap() -> None:
    def shows(case: Case) -> bool:
        frozen = [a.target for a in case.program if isinstance(a, Freeze)]
        return "relu" not in kinds(case) and len(kinds(case)) == 3 and bool(frozen)

    without = reduced(simple_case(), lambda c: shows(c) or c == simple_case(), FOREVER)
    assert [placed.path for placed in without.architecture.layers] == [
        "dense_0",
        "dense_1",
        "dense_2",
    ]
    assert Freeze("dense_1") in without.program
