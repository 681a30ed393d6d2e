"""The way that is drawn is that of the gradient: from the losses through what is frozen."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from tests_support import simple_case

from invariants.case import Case
from invariants.freezing import Flags
from invariants.generate.cases import cases
from invariants.report import svg
from invariants.report.gradient_path import Carried, carried
from invariants.report.picture import unroll

CASE = simple_case()  # dense_0, relu_1, dense_2, dense_3


def edges(case: Case, flags: Flags) -> list[tuple[bool, ...]]:
    return [*carried(case, flags, unroll(case.architecture)).edges]


def frozen(*names: str) -> Flags:
    flags = Flags.initial(CASE.architecture)
    for name in names:
        flags = flags.freeze(name, False)
    return flags


def test_it_goes_through_a_frozen_layer_to_the_trainable_one_above() -> None:
    assert edges(CASE, frozen("dense_2")) == [(False,), (True,), (True,), (True,)]


def test_it_ends_at_the_first_trainable_layer() -> None:
    assert edges(CASE, frozen("dense_0")) == [(False,), (False,), (False,), (True,)]
    assert not any(edges(CASE, frozen(""))[n][0] for n in range(4))
    assert not carried(CASE, frozen(""), unroll(CASE.architecture)).results


def count(way: Carried) -> int:
    inside = sum(count(part) for part in way.inside if part is not None)
    return sum(map(sum, way.edges)) + len(way.results) + inside


@given(cases())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], database=None)
def test_the_drawing_has_it_on_top_of_its_edges(case: Case) -> None:
    flags = case.flags(next(iter(case.realisations)))[-1]
    without, drawn = svg.draw(case, flags), svg.draw(case, flags, gradient=True)
    paths = re.compile(r'<path class="(edge|gradient)" d="([^"]*)"/>').findall
    lines = [line for kind, line in paths(drawn) if kind == "edge"]
    ways = [line for kind, line in paths(drawn) if kind == "gradient"]
    assert len(lines) == len(paths(without))
    assert count(carried(case, flags, unroll(case.architecture))) == len(ways) - 1
    assert len({*ways} - {*lines}) == 1, "only that of the legend is none of the edges"


@given(cases())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], database=None)
def test_what_trains_nothing_carries_none(case: Case) -> None:
    flow = unroll(case.architecture)
    everything = Flags.initial(case.architecture).freeze("", False)
    way = carried(case, everything, flow)
    assert case.input_gradient or count(way) == 0
    trained = carried(case, Flags.initial(case.architecture), flow)
    assert count(trained) >= count(way)
