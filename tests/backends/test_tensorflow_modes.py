"""The modes of Keras scripts: what they call, what flags they go by, what they say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests_support import simple_case

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.noise import GaussianNoise
from invariants.backends import BACKENDS
from invariants.case import Case, CaseError, Realisation, frozen
from invariants.hazards import COMPILED, TRACED
from invariants.judge import judge
from invariants.objective import Term
from invariants.oracle.contract import CONTRACTS
from invariants.program import Action, Compile, Evaluate, Freeze, Reload, SetMode, Step, Thaw

_KERNEL, _BIAS = "dense_2.kernel", "dense_2.bias"

_MODES = {mode.name: mode for mode in CONTRACTS["tensorflow"].modes}

_SHOWING = [
    name for name, mode in _MODES.items() if not mode.trains_itself and "jit" not in mode.traits
]

_TRAINING = ["fit_train_step", "fit_several_steps"]

#: The way of each action that has one.
_WAYS = {
    Freeze: "layer_trainable",
    Thaw: "layer_trainable",
    Reload: "set_weights",
    Evaluate: "call",
}


def in_mode(mode: str, program: Sequence[Action], **options: str) -> Case:
    ways = tuple(_WAYS.get(type(action)) for action in program)
    realisation = Realisation(mode, ways, options)
    case = replace(simple_case(), program=tuple(program), realisations={"tensorflow": realisation})
    return case.check()


def rendered(mode: str, program: Sequence[Action], **options: str) -> str:
    return BACKENDS["tensorflow"].render(in_mode(mode, program, **options))


def told(mode: str, program: Sequence[Action], **options: str) -> set[tuple[str, str, str]]:
    """(severity, issue or property, weight) of all that is found in a program."""
    found = judge(in_mode(mode, program, **options), "tensorflow").findings
    return {(f.severity, f.issue or f.property_, f.subject) for f in found}


def of_the_layer(hazard: str) -> set[tuple[str, str, str]]:
    return {("hazard", hazard, _KERNEL), ("hazard", hazard, _BIAS)}


@pytest.mark.parametrize("mode", _SHOWING)
def test_a_frozen_layer_passes_gradients_on_in_every_mode(mode: str) -> None:
    case = simple_case()
    realisation = replace(case.realisations["tensorflow"], mode=mode)
    verdict = judge(replace(case, realisations={"tensorflow": realisation}), "tensorflow")
    assert verdict.findings == ()
    assert verdict.measures.elements > 0


_FREEZING = (Step(0), Freeze("dense_2"), Evaluate(0, False), Step(0))

_THAWING = (Freeze("dense_2"), Step(0), Thaw("dense_2"), Reload(), Step(0))


@pytest.mark.parametrize("mode", ["function", "function_signature"])
@pytest.mark.parametrize("program", [_FREEZING, _THAWING], ids=["freezing", "thawing"])
def test_flags_that_change_after_the_trace_are_a_hazard(
    mode: str, program: Sequence[Action]
) -> None:
    assert told(mode, program) == of_the_layer(TRACED.id)


@pytest.mark.parametrize("program", [_FREEZING, _THAWING], ids=["freezing", "thawing"])
def test_a_function_that_is_made_anew_sees_flags(program: Sequence[Action]) -> None:
    assert told("function_anew", program) == set()


def test_another_optimizer_has_the_function_made_anew() -> None:
    assert told("function", (Step(0), Freeze("dense_2"), Compile(), Step(0))) == set()


def test_another_mode_has_a_function_of_its_own() -> None:
    """The step in inference mode is traced after the freeze, and goes by it."""
    program = (Step(0), Freeze("dense_2"), SetMode(False), Step(0))
    assert told("function", program) == set()


def test_a_batch_of_another_size_is_traced_anew_unless_a_signature_leaves_it_open() -> None:
    program = (Step(0), Freeze("dense_2"), Step(1))
    for mode, hazards in (("function", set()), ("function_signature", of_the_layer(TRACED.id))):
        case = in_mode(mode, (Step(0), Freeze("dense_2"), Step(0)))
        batches = (case.batches[0], case.batches[0].first(2))
        other = replace(case, batches=batches, program=program).check()
        found = judge(other, "tensorflow").findings
        assert {(f.severity, f.issue, f.subject) for f in found} == hazards


def test_a_step_that_raises_while_it_is_traced_has_run_nothing() -> None:
    """In the base contract the function is then traced again, and steps."""
    program = (Step(0), Freeze("dense_0"), Freeze("dense_2"), Freeze("dense_3"), Compile(), Step(0))
    case = in_mode("function", program, optimizer_call="apply_gradients")
    verdict = judge(case, "tensorflow")
    assert verdict.findings == ()
    assert verdict.evidence.observation.errors.keys() == {5}


def test_an_optimizer_that_is_built_too_late_in_a_function_raises_as_documented() -> None:
    program = (Freeze(""), Step(0), Thaw(""), Step(0))
    options = {"optimizer_build": "first_step", "optimizer_call": "apply_gradients"}
    assert told("function", program, **options) == set()
    emptied = "tensorflow-function-emptied-by-a-failed-trace"
    assert told("function", (*program, Step(0)), **options) == {("known issue", emptied, "")}
    assert told("function_anew", (*program, Step(0)), **options) == set()


@pytest.mark.parametrize("mode", _TRAINING)
def test_flags_that_change_after_compile_are_a_hazard(mode: str) -> None:
    found = told(mode, (Step(0), Freeze("dense_2"), Step(0)))
    assert of_the_layer(COMPILED.id) <= found
    assert {kind for kind, _, _ in found} <= {"hazard", "known issue"}
    assert told(mode, (Step(0), Freeze("dense_2"), Compile(), Step(0))) == set()


def test_a_step_of_several_is_several() -> None:
    """Had the oracle made one step of the two of a call, the weights would be elsewhere."""
    case = in_mode("fit_several_steps", (Step(0),))
    twice = in_mode("fit", (Step(0), Step(0)))
    once, two = (judge(one, "tensorflow").evidence for one in (case, twice))
    for name, array in two.observation.points[-1].weights.items():
        assert (once.observation.points[-1].weights[name] == array).all()


def test_what_is_traced_once_is_called_by_every_action() -> None:
    source = rendered("function", (Step(0), Freeze("dense_2"), Step(0), Thaw("dense_2"), Step(0)))
    assert source.count("tf.function(train_step_on)") == 1
    assert source.count("= train_step(x0, y)") == 3
    anew = rendered("function_anew", (Step(0), Freeze("dense_2"), Step(0)))
    assert anew.count("tf.function(train_step_on)") == 2


def test_gradients_of_several_batches_are_added_up_in_the_function() -> None:
    program = (Freeze("dense_2"), Step(0, (0,)), Step(0, (0,)))
    assert "def train_step_of_2_on(x0, y, x0_1, y_1):" in rendered("function", program)
    assert told("function_signature", program) == set()


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("tape_persistent", "tf.GradientTape(persistent=True)"),
        ("tape_explicit", "tape.watch([variable.value for variable in variables])"),
        ("tape_nested", "with tf.GradientTape():"),
        ("recompute_grad", "tf.recompute_grad(lambda x0: model(x0, training=True))(x0)"),
        ("forward_mode", "tf.autodiff.ForwardAccumulator(given, tangents)"),
        ("forward_mode", "outputs, left = model.stateless_call(trained, states, x0"),
        ("function_signature", "input_signature=signature"),
        ("function_xla", "tf.function(train_step_on, jit_compile=True)"),
    ],
)
def test_a_mode_is_a_line_of_the_script(mode: str, line: str) -> None:
    assert line in rendered(mode, (Step(0),))


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("fit_train_step", "return Trained(x0, x4, name='network')"),
        ("fit_several_steps", "steps_per_execution=2"),
        ("fit_xla", "jit_compile=True"),
    ],
)
def test_a_mode_that_trains_is_an_argument_or_a_class(mode: str, line: str) -> None:
    assert line in rendered(mode, (Step(0),))


@pytest.mark.parametrize("mode", ["function_xla", "fit_xla"])
def test_what_xla_draws_is_not_asked_of_an_eager_layer(mode: str) -> None:
    """It makes other normal numbers of the same seed."""
    layers = (Dense(units=2), GaussianNoise(), Dense(units=1))
    nodes = tuple(Node(number, (number,)) for number in range(len(layers)))
    architecture = Architecture((Spec((3,)),), Block(members=layers, nodes=nodes))
    weights = {n: frozen(np.ones(p.shape)) for n, p in architecture.parameters.items()}
    case = replace(in_mode(mode, (Step(0),)), architecture=architecture, weights=weights).check()
    source = BACKENDS["tensorflow"].render(case)
    assert "reseed(model)" in source
    assert "draws(" not in source


@pytest.mark.parametrize("mode", ["fit_several_steps", "fit_xla"])
def test_a_mode_settles_an_option(mode: str) -> None:
    with pytest.raises(CaseError, match=f"run_eagerly cannot be 'yes' in {mode}"):
        in_mode(mode, (Step(0),), run_eagerly="yes")


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("mixed_bfloat16", "keras.config.set_dtype_policy('mixed_bfloat16')"),
        ("mixed_float16", 'keras.layers.Activation("linear", dtype="float32", name="output_0")'),
        ("mixed_float16_scaled", "scaled = optimizer.scale_loss(loss)"),
        ("mixed_float16_scaled", "gradients = tape.gradient(scaled, variables)"),
        ("mixed_float16_scaled", "initial_scale=1024.0, dynamic_growth_steps=2)"),
        ("fit_mixed_float16", "model.optimizer.initial_scale = 256.0"),
    ],
)
def test_a_mixed_policy_is_some_lines_of_the_script(mode: str, line: str) -> None:
    assert line in rendered(mode, (Step(0),))


@pytest.mark.parametrize(
    ("mode", "given"),
    [("tape", "model(x0, training=True)"), ("mixed_bfloat16", "tf.cast(model(x0, training=True)")],
)
def test_probabilities_are_not_made_in_a_lower_format(mode: str, given: str) -> None:
    case = in_mode(mode, (Step(0),))
    classes = frozen(np.zeros((4,), dtype=np.int64))
    batch = replace(case.batches[0], targets=(classes,))
    other = replace(case, objective=(Term(loss="likelihood"),), batches=(batch,))
    assert f"tf.nn.softmax({given}" in BACKENDS["tensorflow"].render(other)
