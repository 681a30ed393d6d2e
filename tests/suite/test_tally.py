"""Sums add up over batches and workers, and survive the way through JSON."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests_support import simple_case

from invariants.judge import judge
from invariants.suite.tally import Tally, frozen_between, total

counts = st.integers(0, 1000)
histograms = st.dictionaries(st.sampled_from(["1", "4", "9"]), st.integers(1, 9)).map(Counter)
tallies = st.builds(
    Tally,
    cases=counts,
    started=counts,
    elements=counts,
    uninformative=counts,
    largest=st.floats(0, 100),
    layers=histograms,
    violations=histograms,
)


@given(tallies)
def test_a_tally_survives_json(tally: Tally) -> None:
    assert Tally.read(json.loads(json.dumps(tally.document()))) == tally


@given(st.lists(tallies, max_size=4))
def test_the_order_of_the_batches_does_not_matter(parts: list[Tally]) -> None:
    assert total(parts) == total(reversed(parts))
    assert total(parts).cases == sum(part.cases for part in parts)
    assert total(parts).largest == max((part.largest for part in parts), default=0.0)


@given(tallies)
def test_the_median_is_the_middle_of_all_layers(tally: Tally) -> None:
    sizes = sorted(int(n) for n in tally.layers.elements())
    assert tally.median_layers == (sizes[len(sizes) // 2] if sizes else 0)


def test_nothing_has_no_shares() -> None:
    assert Tally().share(0) == Tally().uninformative_share == Tally().rejected_share == 0.0


def test_a_judged_case_is_counted_once() -> None:
    verdict = judge(simple_case(), "torch")
    tally = Tally()
    tally.count(verdict)
    assert (tally.cases, tally.gradients) == (1, verdict.measures.gradients)
    assert tally.layers == {"4": 1}
    assert tally.frozen_middle == 1
    assert tally.made_of["dense.units: 2"] == tally.made_of["action: freeze"] == 1
    assert tally.made_of["clip: None"] == tally.made_of["schedule: None"] == 1


def test_a_frozen_layer_lies_between_only_if_both_sides_train() -> None:
    case = simple_case()
    middle, *_, thawed = case.flags("torch")
    assert frozen_between(case.architecture, middle)
    assert not frozen_between(case.architecture, thawed)
    assert not frozen_between(case.architecture, middle.freeze("dense_0", False))
    assert not frozen_between(case.architecture, middle.freeze("dense_3", False))
