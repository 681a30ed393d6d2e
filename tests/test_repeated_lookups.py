"""The second moment of an embedding's table, whose rows a batch looks up more than once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forging import chain

from invariants.architecture.graph import Architecture
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.lora import EmbeddingWithLora, LoraEmbedding
from invariants.architecture.layers.shaping import Embedding, Flatten
from invariants.backends import installed
from invariants.case import Batch, Case, Realisation, frozen
from invariants.judge import judge
from invariants.objective import Penalty, Term
from invariants.optimizer import Adagrad, Adam, RMSprop
from invariants.program import Action, Step, Thaw

pytestmark = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")

ADAPTED = EmbeddingWithLora(features=2, rank=1)


def looking_up(table: AnyLayer, mode: str, *program: Action, rows: int = 3) -> Case:
    """A table, of one row of which a batch of two asks three or four times."""
    layers = (table, Flatten(), Dense(units=1))
    architecture = Architecture((Spec((2,), vocabulary=rows),), chain(*layers))
    rng = np.random.default_rng(3)
    batch = Batch(
        (frozen(np.minimum([[1, 1], [1, 2]], rows - 1)),),
        (frozen(np.array([[0.5], [-1.0]])),),
        (None,),
    )
    ways = tuple("variable_trainable" if isinstance(a, Thaw) else None for a in program)
    return Case(
        architecture=architecture,
        weights={
            name: frozen(rng.integers(1, 64, size=p.shape) / 64.0)
            for name, p in architecture.parameters.items()
        },
        batches=(batch,),
        program=program,
        optimizer=Adam(),
        objective=(Term(),),
        dtype="float32",
        realisations={"tensorflow": Realisation(mode, ways, {"optimizer_build": "first_step"})},
        training=True,
        input_gradient=False,
        seed=0,
    ).check()


@pytest.mark.parametrize("mode", ["tape", "mixed_float16_scaled"])
def test_the_squares_of_lookups_are_added_up_of_what_the_scale_has_left(mode: str) -> None:
    verdict = judge(looking_up(Embedding(features=2), mode, Step(0), Step(0)), "tensorflow")
    assert {(f.issue, f.subject) for f in verdict.findings} == {
        ("keras-adam-repeated-lookups", "embedding_0.embeddings")
    }


@pytest.mark.parametrize(
    ("mode", "rows", "found"), [("function", 3, 1), ("tape", 3, 0), ("tape", 1, 1)]
)
def test_a_table_that_is_adapted_is_looked_up_in_a_graph_or_of_one_row(
    mode: str, rows: int, found: int
) -> None:
    """Op by op a sum of tables adds its gradient up, but for one row of several columns."""
    table = "embedding_with_lora_0.embeddings"
    case = looking_up(ADAPTED, mode, Thaw(table), Step(0), Step(0), rows=rows)
    verdict = judge(case, "tensorflow")
    assert not verdict.violations
    assert {f.issue for f in verdict.findings} == (
        {"keras-adam-repeated-lookups"} if found else set()
    )


def test_a_penalty_adds_the_gradient_of_a_table_up() -> None:
    """It reaches every row, so that no lookups are left; those of the table beside it are."""
    case = looking_up(LoraEmbedding(features=2, rank=1), "tape", Step(0), Step(0))
    penalised = {"lora_embedding_0.embeddings": Penalty(kind="l1", factor=0.0625)}
    verdict = judge(replace(case, penalties=penalised).check(), "tensorflow")
    assert {(f.severity, f.issue, f.subject) for f in verdict.findings} == {
        ("known issue", "keras-adam-repeated-lookups", "lora_embedding_0.lora_a")
    }


def test_a_second_moment_that_is_nan_raises_as_the_issue_says() -> None:
    """In float16 256 · 256 is infinite, and what the first step makes of the weights is NaN."""
    case = looking_up(Embedding(features=2), "tape", Step(0), Step(0))
    large = {name: frozen(np.full(array.shape, 256.0)) for name, array in case.weights.items()}
    diverging = replace(case, weights=large, optimizer=Adagrad(), dtype="float16")
    verdict = judge(diverging.check(), "tensorflow")
    assert "is not in [0, " in verdict.evidence.observation.errors[1].message
    assert not verdict.violations
    assert ("program_runs", "keras-adam-repeated-lookups") in {
        (f.property_, f.issue) for f in verdict.findings
    }


def test_a_variance_below_0_of_lookups_raises_as_the_issue_says() -> None:
    """Four lookups of one row, whose gradients are of one sign: (Σg)² is above 2·Σg²."""
    case = looking_up(Embedding(features=2), "tape", Step(0), rows=2)
    (batch,) = case.batches
    alike = replace(batch, targets=(frozen(np.array([[-1.0], [-1.0]])),))
    case = replace(case, batches=(alike,), optimizer=RMSprop(rho=0.5, centered=True))
    verdict = judge(case.check(), "tensorflow")
    assert not verdict.violations
    assert ("program_runs", "keras-adam-repeated-lookups") in {
        (f.property_, f.issue) for f in verdict.findings
    }
