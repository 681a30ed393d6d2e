"""What zero_grad(set_to_none=False) leaves: zeros that move a frozen weight on, as documented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import at, gradient_of, since, torch_case
from rich.console import Console

from invariants.architecture.layers.activations import Softplus, Tanh
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.grouping import RmsNorm
from invariants.architecture.layers.shaping import Reshape
from invariants.backends import BACKENDS
from invariants.case import Case, frozen
from invariants.hazards import ZEROS
from invariants.judge import gather, judge
from invariants.objective import Term
from invariants.optimizer import SGD, Adam
from invariants.program import Compile, Freeze, Gradient, Reload, Step
from invariants.properties import findings
from invariants.properties.evidence import Evidence
from invariants.report.terminal import closing
from invariants.suite.tally import Tally

#: Of three samples whose gradients come to 0, but for rounding.
TARGETS = (1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 0.5, -1.0, 0.5, -0.5, 0.5)

PROGRAM = (Step(0), Freeze("dense_2"), Gradient(0), Step(0), Step(0))


def case(optimizer: Any, program: tuple[Any, ...] = PROGRAM, zero_grad: str = "zeros") -> Case:
    layers = (Dense(units=3), Tanh(), Dense(units=2), Dense(units=1))
    made = torch_case(layers, tuple(a for a in program if not isinstance(a, Reload)))
    ways = tuple(
        "deepcopy" if isinstance(a, Reload) else "requires_grad_" if isinstance(a, Freeze) else None
        for a in program
    )
    options = {"optimizer_loop": "for-loop", "zero_grad": zero_grad}
    realisation = replace(made.realisations["torch"], ways=ways, options=options)
    return replace(
        made, program=program, optimizer=optimizer, realisations={"torch": realisation}
    ).check()


def hazards(evidence: Evidence) -> set[tuple[int, str]]:
    found = findings(evidence)
    assert {f.severity for f in found} <= {"hazard"}
    return {(f.action, f.subject) for f in found}


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.5), SGD(weight_decay=0.5), Adam()])
def test_momentum_averages_and_decay_are_a_hazard_at_each_step(optimizer: Any) -> None:
    weights = ("dense_2.kernel", "dense_2.bias")
    evidence = gather(case(optimizer), "torch")
    assert hazards(evidence) == {(step, name) for step in (3, 4) for name in weights}
    assert not gradient_of(evidence, 3, "dense_2.kernel").any()


def test_plain_descent_keeps_the_bits() -> None:
    assert not hazards(gather(case(SGD()), "torch"))


@pytest.mark.parametrize("way", ["tensor_requires_grad_", "gradient_hook"])
def test_what_rounding_has_left_of_a_gradient_of_0_moves_it_as_well(way: str) -> None:
    """The cosine of one number is its sign, and what flows back through it is rounding alone."""
    scale = "rms_norm_2.scale"
    layers = (Softplus(), Dense(units=4, use_bias=False), RmsNorm(), Reshape(shape=(1, 4, 1)))
    program = (Step(0), Freeze(scale), Step(0))
    made = torch_case(
        layers, program, inputs=(1,), objective=(Term(loss="cosine"),), dtype="float32"
    )
    (batch,) = made.batches
    batch = replace(
        batch.first(3),
        inputs=(frozen(np.array([[0.0], [1.0], [-0.5]])),),
        targets=(frozen(np.array(TARGETS).reshape(3, 1, 4, 1)),),
    )
    options = {"optimizer_loop": "for-loop", "zero_grad": "zeros"}
    realisation = replace(
        made.realisations["torch"],
        mode="autocast_float16",
        ways=(None, way, None),
        options=options,
    )
    made = replace(
        made,
        weights={name: frozen(np.ones_like(array)) for name, array in made.weights.items()},
        batches=(batch,),
        optimizer=SGD(learning_rate=0.125, momentum=0.5),
        realisations={"torch": realisation},
    )
    evidence = gather(made.check(), "torch")
    assert gradient_of(evidence, 0, scale).any()
    assert {f.severity for f in findings(evidence)} == {"hazard"}


@pytest.mark.parametrize("between", [Compile(), Reload()])
def test_a_new_optimizer_has_no_momentum_to_move_by(between: Any) -> None:
    program = (*PROGRAM[:2], between, *PROGRAM[2:])
    assert not hazards(gather(case(SGD(momentum=0.5), program), "torch"))


def test_a_copy_of_the_model_has_no_gradients_for_the_decay() -> None:
    decay = SGD(weight_decay=0.5)
    program = (*PROGRAM[:2], Compile(), *PROGRAM[2:])
    assert hazards(gather(case(decay, program), "torch"))
    program = (*PROGRAM[:2], Reload(), *PROGRAM[2:])
    assert not hazards(gather(case(decay, program), "torch"))


def test_none_is_no_hazard() -> None:
    assert not hazards(gather(case(SGD(momentum=0.5), zero_grad="set_to_none"), "torch"))
    sources = [BACKENDS["torch"].render(case(SGD(), zero_grad=z)) for z in ("set_to_none", "zeros")]
    assert "zero_grad()" in sources[0]
    assert "zero_grad(set_to_none=False)" in sources[1]


def test_a_move_that_the_optimizer_does_not_make_is_a_violation() -> None:
    evidence = gather(case(SGD(momentum=0.5)), "torch")
    forged = since(evidence, 3, "dense_2.kernel", lambda w: w * 1.001)
    worst = [f for f in findings(forged) if f.severity == "violation"]
    assert [(f.property_, f.action, f.subject) for f in worst] == [
        ("frozen_weights", 3, "dense_2.kernel")
    ]


def test_a_gradient_of_something_else_than_zeros_is_a_violation() -> None:
    evidence = gather(case(SGD()), "torch")
    forged = at(evidence, 2, "gradients", "dense_2.bias", np.array([0.0, 1e-9]))
    assert [(f.property_, f.element) for f in findings(forged)] == [
        ("no_gradient_for_frozen", (1,))
    ]


def test_a_run_lists_hazards_and_stays_good() -> None:
    tally, console = Tally(), Console(record=True, width=400, file=None, quiet=False)
    tally.count(judge(case(SGD(momentum=0.5)), "torch"))
    with console.capture() as captured:
        for part in closing({"torch": tally}, 1.0):
            console.print(part)
    text = captured.get()
    assert "no violation in 1 case (" in text
    assert f"hazard {ZEROS.id} (1 case)" in text
    assert f"instead: {ZEROS.instead}" in text
