"""A table whose rows get their gradient by the inverse of their frequency: scale_grad_by_freq."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import chain

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.shaping import Embedding, Flatten
from invariants.backends import BACKENDS
from invariants.case import Batch, Case, CaseError, Realisation, frozen
from invariants.judge import judge
from invariants.objective import Term
from invariants.observation import Array
from invariants.optimizer import SGD
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.program import Action, Gradient, Step

TABLE = "embedding_0.embeddings"

#: Row 0 is asked for once, row 1 three times, row 2 twice, row 3 never.
LOOKUPS = [[0, 1, 2], [1, 2, 1]]


def looking_up(
    *program: Action, table: Embedding, mode: str = "eager", dtype: Any = "float64"
) -> Case:
    """A table, a dense layer on what it gives, and one batch."""
    layers = (table, Flatten(), Dense(units=1))
    architecture = Architecture((Spec((3,), vocabulary=4),), chain(*layers))
    rng = np.random.default_rng(5)
    return Case(
        architecture=architecture,
        weights={
            name: frozen(rng.integers(1, 64, size=p.shape) / 64.0)
            for name, p in architecture.parameters.items()
        },
        batches=(Batch((frozen(np.array(LOOKUPS)),), (frozen(np.ones((2, 1))),), (None,)),),
        program=program,
        realisations={
            "torch": Realisation(mode, (None,) * len(program), {"optimizer_loop": "for-loop"})
        },
        optimizer=SGD(),
        objective=(Term(),),
        dtype=dtype,
        training=True,
        input_gradient=False,
        seed=0,
    ).check()


def gradient_of_the_table(table: Embedding) -> Array:
    (point,) = expect(looking_up(Gradient(0), table=table), "torch").points
    return point.gradients[TABLE].value


@pytest.mark.parametrize("padding_index", [None, 2])
def test_the_gradient_of_a_row_is_divided_by_how_often_it_is_asked_for(
    padding_index: int | None,
) -> None:
    scaled, plain = (
        gradient_of_the_table(Embedding(features=2, padding_index=padding_index, by_frequency=by))
        for by in (True, False)
    )
    assert np.abs(scaled - plain / np.array([[1.0], [3.0], [2.0], [1.0]])).max() < 1e-15
    assert plain[1].any()


@pytest.mark.parametrize("mode", ["eager", "checkpointed", "functional"])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_torch_does_so_and_steps_by_it(mode: str, dtype: str) -> None:
    table = Embedding(features=2, by_frequency=True)
    case = looking_up(Step(0), Gradient(0), Step(0), table=table, mode=mode, dtype=dtype)
    assert not judge(case, "torch").findings


@pytest.mark.parametrize(
    ("mode", "issue"),
    [
        ("forward_mode", "torch-forward-mode-ignores-frequency"),
        ("linearized", "torch-forward-mode-ignores-frequency"),
        ("second_order", "torch-frequency-curvature"),
    ],
)
def test_where_it_does_not_a_known_issue_says_what_it_does(mode: str, issue: str) -> None:
    case = looking_up(Gradient(0), table=Embedding(by_frequency=True), mode=mode)
    verdict = judge(case, "torch")
    assert not verdict.violations
    assert {finding.issue for finding in verdict.findings} == {issue}


def test_a_sample_alone_does_not_know_the_frequency() -> None:
    table = Embedding(features=2, by_frequency=True)
    with pytest.raises(CaseError, match="embedding_by_frequency: a sample knows"):
        looking_up(Gradient(0), table=table, mode="per_sample")


def test_keras_has_no_such_argument() -> None:
    case = looking_up(Gradient(0), table=Embedding(by_frequency=True))
    lacking = replace(case, realisations={}).lacking("tensorflow")
    assert lacking.endswith(CONTRACTS["tensorflow"].said("embedding_by_frequency"))


def test_the_script_says_so_as_people_do() -> None:
    case = looking_up(Gradient(0), table=Embedding(features=2, by_frequency=True))
    assert "nn.Embedding(4, 2, scale_grad_by_freq=True)" in BACKENDS["torch"].render(case)


def test_a_linear_map_by_a_table_of_several_features_raises_as_known() -> None:
    case = looking_up(Gradient(0), table=Embedding(features=2), mode="linearized")
    verdict = judge(case, "torch")
    assert [f.issue for f in verdict.findings] == ["torch-linear-map-views"]
