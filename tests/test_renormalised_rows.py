"""A table whose rows a lookup renormalises in place, frozen or not: torch's max_norm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import chain, point_of, since, with_points

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.shaping import Embedding, Flatten
from invariants.average import Average
from invariants.backends import BACKENDS
from invariants.case import Batch, Case, CaseError, Realisation, from_json, frozen
from invariants.hazards import MASKED, RENORMALISED
from invariants.judge import gather, judge
from invariants.objective import Term
from invariants.observation import Array, same_bits
from invariants.optimizer import SGD
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.program import Action, Evaluate, Freeze, Gradient, Step
from invariants.properties import findings

TABLE = "embedding_0.embeddings"

#: Rows of norms 5, 1/4, 5/2 and 10, of which the first batch asks for three, the second for two.
ROWS = [[3.0, 4.0], [0.25, 0.0], [-1.5, 2.0], [6.0, -8.0]]
LOOKUPS = ([[0, 1], [0, 2]], [[1, 1], [3, 1]])

LIMITED = Embedding(features=2, max_norm=1.0)

WAYS = {"freeze": "requires_grad_", "evaluate": "no_grad"}


def looking_up(
    *program: Action,
    table: Embedding = LIMITED,
    mode: str = "eager",
    dtype: Any = "float64",
    **changes: Any,
) -> Case:
    """A table, a dense layer on what it gives, and two batches."""
    architecture = Architecture(
        (Spec((2,), vocabulary=4),), chain(table, Flatten(), Dense(units=1))
    )
    weights = {TABLE: ROWS, "dense_2.kernel": [[0.5], [-1.0], [2.0], [0.75]], "dense_2.bias": [0.5]}
    target = frozen(np.array([[0.5], [-1.0]]))
    changed = {name: WAYS.get(action.action) for name, action in enumerate(program)}
    ways = tuple(changes.pop("ways", changed.values()))
    return Case(
        architecture=architecture,
        weights={name: frozen(np.array(numbers)) for name, numbers in weights.items()},
        batches=tuple(Batch((frozen(np.array(b)),), (target,), (None,)) for b in LOOKUPS),
        program=program,
        realisations={"torch": Realisation(mode, ways, {"optimizer_loop": "for-loop"})},
        **{
            "optimizer": SGD(learning_rate=0.125, momentum=0.5),
            "objective": (Term(),),
            "dtype": dtype,
            "training": True,
            "input_gradient": False,
            "seed": 0,
            **changes,
        },
    ).check()


def table_after(case: Case, action: int) -> Array:
    return point_of(gather(case, "torch").observation, action).weights[TABLE]


def limited(rows: Any, order: int, *asked: int) -> Array:
    """The table once these rows have been looked up, as the kernel has them."""
    table = np.array(rows)
    norms = np.linalg.norm(table, ord=order, axis=1)
    for row in asked:
        if norms[row] > 1.0:
            table[row] *= 1.0 / (norms[row] + 1e-7)
    return table


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("program", [(Gradient(0),), (Evaluate(0, training=False), Gradient(0))])
def test_a_forward_pass_writes_the_rows_that_it_looks_up(program: Any, order: Any) -> None:
    table = Embedding(features=2, max_norm=1.0, norm_type=order)
    case = looking_up(*program, table=table)
    point, *_ = expect(case, "torch").points
    assert point.rewritten == {TABLE}
    after = limited(ROWS, order, 0, 1, 2)
    assert np.abs(point.weights[TABLE].value - after).max() < 1e-15
    assert point.left[TABLE].tolist() == [[False] * 2, [True] * 2, [False] * 2, [True] * 2]
    assert np.abs(table_after(case, 0) - after).max() < 1e-15
    assert not judge(case, "torch").findings


def test_the_gradient_is_that_at_the_rows_as_they_were_written() -> None:
    (there,) = expect(looking_up(Gradient(0)), "torch").points
    plain = looking_up(Gradient(0), table=Embedding(features=2))
    weights = {**plain.weights, TABLE: frozen(limited(ROWS, 2, 0, 1, 2))}
    (here,) = expect(replace(plain, weights=weights), "torch").points
    difference = there.gradients[TABLE].value - here.gradients[TABLE].value
    assert np.abs(difference).max() < 1e-14


@pytest.mark.parametrize("mode", ["eager", "checkpointed", "second_order"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_frozen_table_that_is_renormalised_is_a_hazard_once(mode: str, dtype: str) -> None:
    """The second pass over the same batch finds nothing to do, but for rounding."""
    program = (Freeze("embedding_0"), Evaluate(0, training=False), Gradient(0), Step(0), Step(1))
    verdict = judge(looking_up(*program, mode=mode, dtype=dtype), "torch")
    assert {(f.issue, f.severity, f.subject) for f in verdict.findings} == {
        (RENORMALISED.id, "hazard", TABLE)
    }
    assert {1, 4} <= {f.action for f in verdict.findings}
    if dtype == "float64":
        assert [f.action for f in verdict.findings] == [1, 4]


@pytest.mark.parametrize("mode", ["eager", "checkpointed_sequential", "offloaded", "retained"])
def test_a_trained_table_follows_the_trajectory(mode: str) -> None:
    program = (Step(0), Gradient(1), Step(1), Evaluate(0, training=True), Step(0))
    assert not judge(looking_up(*program, mode=mode), "torch").findings


def test_a_table_that_no_optimizer_holds_is_as_good_as_frozen() -> None:
    ways = ("left_out", None)
    case = looking_up(Freeze("embedding_0"), Step(0), ways=ways)
    assert {f.issue for f in judge(case, "torch").findings} == {RENORMALISED.id}


def test_rows_that_are_not_looked_up_keep_their_bits() -> None:
    evidence = gather(looking_up(Freeze("embedding_0"), Gradient(0)), "torch")
    for row in (1, 3):  # one that is short, one that no index names

        def nudged(table: Array, row: int = row) -> Array:
            table = table.copy()
            table[row, 0] = np.nextafter(table[row, 0], 9.0)
            return table

        worst = [f for f in findings(since(evidence, 1, TABLE, nudged)) if not f.issue]
        assert [(f.property_, f.relation, f.subject) for f in worst] == [
            ("frozen_weights", "same_bits", TABLE)
        ]
        assert worst[0].element is not None
        assert worst[0].element[0] == row


def test_a_row_of_another_norm_is_found() -> None:
    evidence = gather(looking_up(Freeze("embedding_0"), Gradient(0)), "torch")
    spoilt = since(
        evidence, 1, TABLE, lambda table: table * np.array([[1.0 + 1e-9], [1], [1], [1]])
    )
    (worst,) = [f for f in findings(spoilt) if not f.issue]
    assert (worst.property_, worst.relation) == ("frozen_weights", "within")


def test_a_trained_row_that_no_pass_rewrites_has_to_move() -> None:
    evidence = gather(looking_up(Gradient(0), Step(0)), "torch")
    before = point_of(evidence.observation, 0).weights[TABLE]

    def stuck(point: Any) -> Any:
        if point.action != 1:
            return point
        table = point.weights[TABLE].copy()
        table[1] = before[1]
        return replace(point, weights={**point.weights, TABLE: table})

    assert same_bits(before[1], np.array(ROWS[1]))
    found = {f.property_ for f in findings(with_points(evidence, stuck))}
    assert "trainable_weights_move" in found


def test_an_evaluation_of_the_averaged_model_rewrites_the_average_alone() -> None:
    program = (Step(0), Evaluate(1, training=False), Step(0))
    ways = (None, "averaged_model", None)
    case = looking_up(*program, ways=ways, average=Average(kind="equal"))
    first, second, _ = expect(case, "torch").points
    assert second.rewritten == frozenset()
    assert (first.weights[TABLE].value == second.weights[TABLE].value).all()
    assert not judge(case, "torch").findings


@pytest.mark.parametrize("mode", ["functional", "forward_mode", "linearized", "per_sample"])
def test_a_function_that_is_transformed_cannot_write_to_what_it_captures(mode: str) -> None:
    with pytest.raises(CaseError, match=f"{mode} does not take embedding_max_norm: a function"):
        looking_up(Gradient(0), mode=mode)
    assert looking_up(Gradient(0), table=Embedding(features=2), mode=mode)


def test_torch_refuses_such_a_function_as_its_mode_says() -> None:
    torch = pytest.importorskip("torch")
    frozen_table = torch.nn.Embedding(2, 2, max_norm=0.5).requires_grad_(False)

    def loss(scale: Any) -> Any:
        return (frozen_table(torch.tensor([0, 1])) * scale).sum()

    with pytest.raises(RuntimeError, match="mutate a captured Tensor"):
        torch.func.grad(loss)(torch.ones(2))


def test_keras_has_no_such_table() -> None:
    case = looking_up(Gradient(0))
    assert "embedding_max_norm" in replace(case, realisations={}).lacking("tensorflow")
    assert CONTRACTS["tensorflow"].said("embedding_max_norm") in case.lacking("tensorflow")


def test_the_script_says_so_as_people_do() -> None:
    source = BACKENDS["torch"].render(
        looking_up(Gradient(0), table=Embedding(features=2, max_norm=0.5, norm_type=1))
    )
    assert "nn.Embedding(4, 2, max_norm=0.5, norm_type=1.0)" in source


def test_what_a_mask_holds_of_it_is_no_other_hazard() -> None:
    """A mask holds a gradient; the table is trainable, and its forward pass documented."""
    case = looking_up(Freeze("embedding_0"), Step(0), ways=("masked_gradient", None))
    assert {f.issue for f in judge(case, "torch").findings} <= {MASKED.id}


@pytest.mark.parametrize("limit", ["0", "-1", "NaN", "Infinity", "1e200"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    text = looking_up(Gradient(0)).to_json().replace('"max_norm": 1.0', f'"max_norm": {limit}')
    with pytest.raises(CaseError, match="max_norm"):
        from_json(text)
