"""Everything that is registered in one place is present in all others."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import Phase, given, seed, settings

from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.base import Spec
from invariants.backends import BACKENDS
from invariants.case import Case
from invariants.generate.cases import cases
from invariants.ledger import known_issues, pinned_case
from invariants.oracle.contract import CONTRACTS
from invariants.properties import PROPERTIES
from invariants.suite.tally import PLACES, places, reached


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_layer_has_a_row_in_every_backend(backend: str) -> None:
    missing = set(LAYERS) - set(BACKENDS[backend].LOWERINGS) - set(CONTRACTS[backend].lacks)
    assert not missing, f"{backend} lacks rows for {sorted(missing)}"


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_parameter_of_a_layer_has_a_native_name(backend: str, kind: str) -> None:
    if kind in CONTRACTS[backend].lacks:
        pytest.skip(CONTRACTS[backend].lacks[kind])
    specs = [
        Spec((2, 2, 2, 2)),
        Spec((4, 4, 2)),
        Spec((4,)),
        Spec((3, 4)),
        Spec((3,), vocabulary=5),
    ]
    accepted = [s for s in specs if LAYERS[kind].accepts([s])]
    for spec in accepted:
        parameters = LAYERS[kind]().parameters([spec])  # type: ignore[call-arg]
        assert {p.name for p in parameters} <= set(BACKENDS[backend].LOWERINGS[kind].parameters)


@pytest.mark.parametrize("backends", [tuple(BACKENDS), *((name,) for name in BACKENDS)])
def test_every_layer_is_drawn_where_no_backend_lacks_it(backends: tuple[str, ...]) -> None:
    drawn: set[str] = set()
    for case in drawn_cases(1000, backends):
        drawn.update(placed.layer.kind for placed in case.architecture.layers)
    assert drawn == set(LAYERS).difference(*(CONTRACTS[name].lacks for name in backends))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_thousand_cases_meet_every_layer_in_every_place_where_it_can_be(backend: str) -> None:
    """Frozen and trainable, upstream and downstream of a frozen one."""
    met = {place for case in drawn_cases(1000, (backend,)) for place in reached(case, backend)}
    kinds = [kind for kind in LAYERS if kind not in CONTRACTS[backend].lacks]
    assert {f"{kind}:{place}" for kind in kinds for place in places(kind)} == met


def test_what_takes_indices_is_downstream_of_nothing() -> None:
    first = {kind for kind in LAYERS if "downstream" not in places(kind)}
    assert first == {
        *("embedding", "lora_embedding", "embedding_with_lora", "tied_embedding"),
        "masked_mean",
        *(
            f"{how}_{cell}"
            for how in ("masked", "padded")
            for cell in ("simple_rnn", "lstm", "gru")
        ),
    }


def test_what_has_no_weights_is_neither_frozen_nor_trainable() -> None:
    assert places("relu") == places("projection") == ("upstream", "downstream")
    assert places("dense") == PLACES


@lru_cache(maxsize=3)
def drawn_cases(count: int, backends: tuple[str, ...]) -> list[Case]:
    held: list[Case] = []

    @seed(1)
    @settings(max_examples=count, database=None, phases=[Phase.generate])
    @given(cases(backends))
    def draw(case: Case) -> None:
        held.append(case)

    draw()
    return held


def test_the_contracts_speak_of_the_same_points() -> None:
    points = [set(contract.clauses) for contract in CONTRACTS.values()]
    assert points[0] == points[1]


def test_every_clause_has_a_sentence_and_a_source() -> None:
    for contract in CONTRACTS.values():
        for clause in contract.clauses.values():
            assert clause.sentence
            assert clause.source.startswith("https://")


def test_every_known_issue_has_a_pinned_case() -> None:
    assert [i.id for i in known_issues() if not pinned_case(i).is_file()] == []


def test_every_known_issue_names_properties_that_exist() -> None:
    assert {name for issue in known_issues() for name in issue.properties} <= set(PROPERTIES)
