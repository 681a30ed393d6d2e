"""Settings of Keras that contradict one another: the last one counts, the model's own stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from forging import chain, point_of, torch_case

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.backends import installed
from invariants.case import Case, Realisation, frozen
from invariants.judge import judge
from invariants.observation import same_bits
from invariants.program import Action, Compile, Freeze, Reload, Step, Thaw

BODY: tuple[AnyLayer, ...] = (Dense(units=3), BatchNorm(), Tanh())

needs_tensorflow = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def case(*actions: tuple[Action, str | None], mode: str = "tape") -> Case:
    """A submodule of a dense layer and a batch norm, then another dense layer."""
    flat = torch_case((*BODY, Dense(units=1)), (Step(0),))
    network = Block(members=(chain(*BODY), Dense(units=1)), nodes=(Node(0, (0,)), Node(1, (1,))))
    architecture = Architecture((Spec((3,)),), network)
    weights = dict(zip(architecture.parameters, flat.weights.values(), strict=True))
    program, ways = zip(*actions, strict=True)
    options = {"optimizer_build": "first_step", "optimizer_call": "apply", "run_eagerly": "yes"}
    return replace(
        flat,
        architecture=architecture,
        weights={name: frozen(array) for name, array in weights.items()},
        program=program,
        realisations={"tensorflow": Realisation(mode, ways, options)},
    ).check()


def setting(action: Action, way: str = "layer_trainable") -> tuple[Action, str]:
    return (action, way)


STEP: tuple[Action, None] = (Step(0), None)
NORM, LAYER, KERNEL = "block_0.batch_norm_1", "block_0.dense_0", "block_0.dense_0.kernel"
OF_THE_BODY = {KERNEL, "block_0.dense_0.bias", f"{NORM}.gamma", f"{NORM}.beta"}

#: Settings -> the weights that train after them.
SETTINGS: dict[str, tuple[tuple[tuple[Action, str], ...], set[str]]] = {
    "a layer in a frozen submodule": (
        (setting(Freeze("block_0")), setting(Thaw(LAYER))),
        {KERNEL, "block_0.dense_0.bias", "dense_1.kernel", "dense_1.bias"},
    ),
    "a layer in a frozen model": (
        (setting(Freeze("")), setting(Thaw("dense_1"))),
        set(),
    ),
    "a layer in a model whose variables are frozen": (
        (setting(Freeze(""), "each_variable"), setting(Thaw("dense_1"), "each_variable")),
        {"dense_1.kernel", "dense_1.bias"},
    ),
    "a variable of a frozen layer": (
        (setting(Freeze(LAYER)), setting(Thaw(KERNEL), "variable_trainable")),
        {KERNEL, *OF_THE_BODY, "dense_1.kernel", "dense_1.bias"} - {"block_0.dense_0.bias"},
    ),
    "all variables of a frozen batch norm": (
        (setting(Freeze(NORM)), setting(Thaw(NORM), "each_variable")),
        {*OF_THE_BODY, "dense_1.kernel", "dense_1.bias"},
    ),
    "all variables of a frozen model": (
        (setting(Freeze("")), setting(Thaw(""), "each_variable")),
        set(),
    ),
    "a variable of a layer that is made frozen": (
        (setting(Freeze(LAYER), "constructor"), setting(Thaw(KERNEL), "variable_trainable")),
        {KERNEL, *OF_THE_BODY, "dense_1.kernel", "dense_1.bias"} - {"block_0.dense_0.bias"},
    ),
    "a freeze of what is frozen, and a thaw of what is not": (
        (setting(Freeze(LAYER)), setting(Freeze(LAYER)), setting(Thaw("dense_1"))),
        {f"{NORM}.gamma", f"{NORM}.beta", "dense_1.kernel", "dense_1.bias"},
    ),
}


@needs_tensorflow
@pytest.mark.parametrize("mode", ["tape", "fit"])
@pytest.mark.parametrize("what", SETTINGS)
def test_the_last_setting_counts_and_a_frozen_model_trains_nothing(what: str, mode: str) -> None:
    settings, trained = SETTINGS[what]
    compiled: list[tuple[Action, str | None]] = [(Compile(), None)] if mode == "fit" else []
    made = case(*settings, *compiled, STEP, mode=mode)
    assert {*made.course("tensorflow")[-1].acting.trainable} == trained
    verdict = judge(made, "tensorflow")
    assert not verdict.violations
    before, after = (
        point_of(verdict.evidence.observation, n).weights for n in (-1, len(made.program) - 1)
    )
    moved = {n for n in made.architecture.weights if not same_bits(before[n], after[n])}
    assert moved == trained


@needs_tensorflow
def test_a_copy_forgets_what_was_thawed_in_a_frozen_layer_a_known_issue() -> None:
    settings, trained = SETTINGS["a variable of a frozen layer"]
    made = case(*settings, (Reload(), "clone_model"), STEP)
    assert {*made.course("tensorflow")[-1].acting.trainable} == trained
    found = judge(made, "tensorflow").findings
    assert {f.issue for f in found if f.subject == KERNEL} == {
        "keras-rebuilt-model-thaws-variables"
    }
    assert all(f.severity != "violation" for f in found)
