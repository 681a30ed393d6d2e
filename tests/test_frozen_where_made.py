"""Layers and models that are frozen where they are made: by a constructor, or before build()."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from forging import chain, point_of, torch_case

from invariants import ledger
from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import Tanh
from invariants.architecture.layers.adapters import Bottleneck
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.lora import LoraDense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.architecture.layers.recurrent import BidirectionalLSTM
from invariants.architecture.layers.transformers import TransformerEncoder
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation, frozen
from invariants.judge import gather, judge
from invariants.ledger import KnownIssue
from invariants.observation import same_bits
from invariants.oracle.contract import CONTRACTS
from invariants.program import Action, Evaluate, Freeze, Gradient, SetMode, Step, Thaw
from invariants.properties import findings

WAYS = ("constructor", "before_build")
LAYERS: tuple[AnyLayer, ...] = (Dense(units=3), BatchNorm(), Tanh(), Dense(units=1))

needs_tensorflow = pytest.mark.skipif(not installed("tensorflow"), reason="needs TensorFlow")


def case(
    program: tuple[Action, ...],
    ways: tuple[str | None, ...],
    layers: tuple[AnyLayer, ...] = LAYERS,
    **options: Any,
) -> Case:
    """A case on Keras: the layers in a chain."""
    made = torch_case(layers, (Step(0),), inputs=options.pop("inputs", (3,)))
    mode, chosen = options.pop("mode", "tape"), options.pop("chosen", {})
    realisations = {"tensorflow": Realisation(mode, ways, chosen)}
    return replace(made, program=program, realisations=realisations, **options).check()


def nested(way: str) -> Case:
    """A submodule of one layer that is made frozen, in a model that is trained."""
    made = case((Step(0),), (None,), (Dense(units=2), Dense(units=1)))
    block = Block(members=(Dense(units=2),), nodes=(Node(0, (0,)),))
    network = Block(members=(block, Dense(units=1)), nodes=(Node(0, (0,)), Node(1, (1,))))
    architecture = Architecture((Spec((3,)),), network)
    weights = dict(zip(architecture.weights, made.weights.values(), strict=True))
    return replace(
        made,
        architecture=architecture,
        weights={name: frozen(array) for name, array in weights.items()},
        program=(Freeze("block_0"), Step(0)),
        realisations={"tensorflow": Realisation("tape", (way, None), {})},
    ).check()


def issue(name: str) -> KnownIssue:
    return next(issue for issue in ledger.known_issues() if issue.id == name)


@needs_tensorflow
@pytest.mark.parametrize("mode", ["tape", "fit"])
@pytest.mark.parametrize("way", WAYS)
def test_a_layer_that_is_made_frozen_keeps_its_bits_until_it_is_thawed(way: str, mode: str) -> None:
    program = (Freeze("dense_0"), Step(0), Thaw("dense_0"), Step(0))
    chosen = {"optimizer_build": "first_step", "run_eagerly": "yes"}
    made = case(program, (way, None, "layer_trainable", None), mode=mode, chosen=chosen)
    assert not made.course("tensorflow")[0].acting.trainable[0].startswith("dense_0")
    evidence = gather(made, "tensorflow")
    loaded, stepped = (point_of(evidence.observation, n).weights for n in (-1, 1))
    assert same_bits(loaded["dense_0.kernel"], stepped["dense_0.kernel"])
    assert not same_bits(loaded["dense_3.kernel"], stepped["dense_3.kernel"])
    assert not judge(made, "tensorflow").violations


@needs_tensorflow
@pytest.mark.parametrize("way", WAYS)
def test_a_batch_norm_that_is_made_frozen_runs_in_inference_mode(way: str) -> None:
    evidence = gather(case((Freeze("batch_norm_1"), Step(0)), (way, None)), "tensorflow")
    assert not findings(evidence)
    before, after = (point_of(evidence.observation, n).weights for n in (-1, 1))
    assert same_bits(before["batch_norm_1.moving_mean"], after["batch_norm_1.moving_mean"])


@pytest.mark.parametrize("way", WAYS)
def test_an_optimizer_that_is_built_ahead_knows_what_was_made_frozen(way: str) -> None:
    made = case((Freeze("dense_0"), Step(0)), (way, None), chosen={"optimizer_build": "ahead"})
    held = made.course("tensorflow")[0].held
    assert held is not None
    assert not any(name.startswith("dense_0") for name in held)


@needs_tensorflow
def test_a_frozen_model_that_is_thawed_as_a_whole_is_trained() -> None:
    program = (Freeze(""), Evaluate(0), Thaw(""), Step(0))
    ways = ("before_build", "call", "layer_trainable", None)
    made = case(program, ways, chosen={"optimizer_build": "first_step"})
    evidence = gather(made, "tensorflow")
    assert not findings(evidence)
    before, after = (point_of(evidence.observation, n).weights for n in (1, 3))
    assert not same_bits(before["dense_0.kernel"], after["dense_0.kernel"])


@needs_tensorflow
@pytest.mark.parametrize(
    ("layers", "inputs"),
    [((BidirectionalLSTM(units=2), Dense(units=1)), (3, 2)), ((LoraDense(units=2),), (3,))],
    ids=["a layer of Keras", "one's own layer"],
)
def test_a_constructor_that_forgets_sublayers_is_a_known_issue(
    layers: tuple[AnyLayer, ...], inputs: tuple[int, ...]
) -> None:
    target = next(iter(Architecture((Spec(inputs),), chain(*layers)).layers)).path
    made = case((Freeze(target), Step(0)), ("constructor", None), layers, inputs=inputs)
    found = judge(made, "tensorflow").findings
    assert {"keras-constructor-leaves-sublayers"} <= {f.issue for f in found}
    assert not [f for f in found if f.severity == "violation"]


@needs_tensorflow
def test_the_constructor_of_a_submodule_is_a_known_issue_and_its_setter_is_none() -> None:
    found = judge(nested("constructor"), "tensorflow").findings
    assert {f.issue for f in found} == {"keras-model-constructor-leaves-layers"}
    assert not judge(nested("before_build"), "tensorflow").findings


def test_a_layer_whose_sublayers_are_forgotten_remembers_being_frozen() -> None:
    layers = (LoraDense(units=2),)
    made = case((Freeze("lora_dense_0"), Step(0)), ("constructor", None), layers)
    told = issue("keras-constructor-leaves-sublayers").as_if
    flags = made.course("tensorflow", CONTRACTS["tensorflow"].as_if(told))[0].flags
    assert flags.frozen == {"lora_dense_0.lora_a", "lora_dense_0.lora_b"}
    assert flags.flagged == {"lora_dense_0"}


@needs_tensorflow
def test_sublayers_that_a_constructor_forgot_take_a_thaw_for_what_they_are_already() -> None:
    """Two issues in one: the sublayers were never flagged, so that thawing does not reach them."""
    target, weight = "bottleneck_0", "bottleneck_0.down_kernel"
    program = (Freeze(target), Freeze(weight), Thaw(target), Gradient(0))
    ways = ("constructor", "variable_trainable", "layer_trainable", None)
    found = judge(case(program, ways, (Bottleneck(), Dense(units=1))), "tensorflow").findings
    assert {f.issue for f in found if f.subject == weight} == {
        "keras-equal-flag-ignored + keras-constructor-leaves-sublayers"
    }
    assert not [f for f in found if f.severity == "violation"]


def test_a_model_that_is_flagged_alone_trains_nothing() -> None:
    made = case((Freeze(""), Step(0)), ("constructor", None))
    told = issue("keras-model-constructor-leaves-layers").as_if
    moment = made.course("tensorflow", CONTRACTS["tensorflow"].as_if(told))[0]
    assert not moment.flags.frozen
    assert not moment.acting.trainable


@needs_tensorflow
def test_a_sublayer_that_was_built_frozen_is_thawed_without_a_gradient() -> None:
    layers = (TransformerEncoder(heads=1, key_size=4, hidden=2), Dense(units=1))
    target = "transformer_encoder_0"
    program = (Freeze(target), Thaw(target), Step(0))
    chosen = {"optimizer_build": "first_step"}
    ways = ("before_build", "layer_trainable", None)
    made = case(program, ways, layers, inputs=(2, 2), chosen=chosen)
    found = judge(made, "tensorflow").findings
    assert "keras-thawed-but-unwatched" in {f.issue for f in found}
    assert not [f for f in found if f.severity == "violation"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_made_frozen_comes_before_all_else(way: str) -> None:
    with pytest.raises(CaseError, match=rf"ways\[1\]: {way} comes before all other actions"):
        case((SetMode(False), Freeze("dense_0"), Step(0)), (None, way, None))
    with pytest.raises(CaseError, match=r"a thaw here goes by layer_trainable or each_variable"):
        case((Thaw("dense_0"), Step(0)), (way, None))


def test_what_is_made_frozen_is_made_once() -> None:
    program = (Freeze("dense_0"), Freeze("dense_0"), Step(0))
    with pytest.raises(CaseError, match=r"ways\[1\]: before_build .*, and once for a target"):
        case(program, ("constructor", "before_build", None))
    assert case(program, ("constructor", "layer_trainable", None)).flags("tensorflow")[0].flagged


def test_the_script_makes_them_frozen() -> None:
    made = case((Freeze("dense_0"), Freeze("dense_3"), Step(0)), (*WAYS, None))
    source = BACKENDS["tensorflow"].render(made)
    assert "name='dense_0', trainable=False)" in source
    assert "name='dense_3')\n    dense_3.trainable = False\n    x4 = dense_3(x3)" in source
    whole = BACKENDS["tensorflow"].render(case((Freeze(""), Step(0)), ("constructor", None)))
    assert "name='network', trainable=False)" in whole
