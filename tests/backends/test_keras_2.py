"""Scripts for Keras 2, and what its contract says; none of these tests needs Keras 2 itself.

But for those of the last part, which run where INVARIANTS_KERAS_2 names a Python that has it.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest
from tests_support import apart_in, simple_case

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS, installed, observation, record
from invariants.backends.places import Apart
from invariants.backends.runner import prepare
from invariants.backends.tensorflow import dialects
from invariants.case import Case
from invariants.gate.corpus import drawn
from invariants.judge import evidence_of, judge
from invariants.objective import Penalty
from invariants.observation import NOT_OFFERED
from invariants.oracle.contract import TENSORFLOW, TORCH
from invariants.oracle.interpreter import expect
from invariants.program import Freeze, Gradient, Step, Thaw
from invariants.properties import findings

KERAS_2 = {"tensorflow": "2.15.1", "keras": "2.15.0"}
KERAS_3 = {"tensorflow": "2.21.0", "keras": "3.15.1"}

TEXT = (resources.files("invariants.backends") / "names_of_keras_2.py").read_text("utf-8")


def keras(case: Case, **options: str) -> Case:
    """The case on Keras alone."""
    realisation = case.realisations["tensorflow"]
    realisation = replace(realisation, options={**realisation.options, **options})
    return replace(case, realisations={"tensorflow": realisation}).check()


def by(way: str) -> Case:
    case = keras(simple_case())
    ways = tuple(way and (w and way) for w in case.realisations["tensorflow"].ways)
    realisation = replace(case.realisations["tensorflow"], ways=ways)
    return replace(case, realisations={"tensorflow": realisation}).check()


def render(case: Case, installed: dict[str, str] = KERAS_2) -> str:
    source: str = BACKENDS["tensorflow"].render(case, installed)
    return source


# --- scripts --------------------------------------------------------------------------------------


def test_a_script_for_keras_3_has_nothing_of_keras_2() -> None:
    case = keras(simple_case())
    assert render(case, KERAS_3) == render(case, {}) == BACKENDS["tensorflow"].render(case)
    assert "Keras 2" not in render(case, KERAS_3)


def test_a_script_for_keras_2_is_that_for_keras_3_behind_its_names() -> None:
    case = keras(simple_case())
    assert render(case).replace(f"\n{TEXT}\n", "", 1) == render(case, KERAS_3)


@pytest.mark.parametrize(
    ("mode", "said", "instead"),
    [
        ("tape_explicit", "variable.value for variable", "[variable for variable in variables]"),
    ],
)
def test_what_no_name_can_mend_is_another_line(mode: str, said: str, instead: str) -> None:
    case = keras(simple_case())
    realisation = replace(case.realisations["tensorflow"], mode=mode)
    case = replace(case, realisations={"tensorflow": realisation}).check()
    assert said in render(case, KERAS_3)
    assert said not in render(case)
    assert instead in render(case)


def test_a_penalty_that_is_set_is_a_loss_of_the_model() -> None:
    """A variable of Keras 2 has no regularizer: one that is set on it would count for nothing."""
    case = replace(by("layer_trainable"), penalties={"dense_0.kernel": Penalty(factor=0.5)})
    assert "kernel_regularizer=keras.regularizers.L2(0.5)" in render(case)
    line = '    model.get_layer("a").kernel.regularizer = keras.regularizers.L2(0.5)'
    assert dialects.spoken(line, KERAS_3) == line
    assert dialects.spoken(line, KERAS_2) == (
        '    model.add_loss(lambda: keras.regularizers.L2(0.5)(model.get_layer("a").kernel))'
    )


# --- the names ------------------------------------------------------------------------------------


def test_the_names_need_tensorflow_alone_and_python_3_8() -> None:
    tree = ast.parse(TEXT, feature_version=(3, 8))
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.Import) for node in imports)
    assert {alias.name for node in imports for alias in node.names} == {
        "types",
        "keras",
        "tensorflow",
    }


class Told:
    """Something of Keras that keeps what it is made with."""

    def __init__(self, **options: Any) -> None:
        self.options = options


class Old(types.ModuleType):
    """As much of Keras 2 as its names ask for."""

    def __init__(self) -> None:
        super().__init__("keras")
        for name in ("activations", "backend", "layers", "losses", "mixed_precision", "optimizers"):
            setattr(self, name, types.ModuleType(f"keras.{name}"))
        self.backend.set_floatx = self.backend.floatx = lambda *given: "float32"
        self.backend.experimental = types.SimpleNamespace(enable_tf_random_generator=lambda: None)
        self.mixed_precision.set_global_policy = lambda name: None
        self.layers.LeakyReLU = type("LeakyReLU", (Told,), {})
        for name in ("DepthwiseConv1D", "DepthwiseConv2D"):
            setattr(self.layers, name, type(name, (), {"depthwise_kernel": "its kernel"}))
        attention = {f"_{name}_dense": name for name in ("query", "key", "value", "output")}
        self.layers.MultiHeadAttention = type("MultiHeadAttention", (), attention)
        self.losses.Loss = type("Loss", (Told,), {})
        self.losses.Huber = type("Huber", (self.losses.Loss,), {})
        self.optimizers.Optimizer = type(
            "Optimizer", (), {"apply_gradients": lambda self, pairs: [*pairs]}
        )


@pytest.fixture(scope="module")
def named() -> Any:
    """`keras` as a script for Keras 2 has it."""
    if not installed("tensorflow"):
        pytest.skip("tensorflow is not installed")
    prepare("tensorflow")  # one thread, which TensorFlow takes before it has run anything alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "keras", Old())
        script: dict[str, Any] = {}
        exec(compile(TEXT, "<names>", "exec"), script)
    return script["keras"]


def test_options_have_the_names_of_keras_2(named: Any) -> None:
    assert named.layers.LeakyReLU(negative_slope=0.25, name="a").options == {
        "alpha": 0.25,
        "name": "a",
    }
    assert named.losses.Huber(delta=2.0, reduction=None).options == {
        "delta": 2.0,
        "reduction": "none",
    }
    assert named.losses.Huber(reduction="sum").options == {"reduction": "sum"}
    assert named.losses.Huber().options == {}
    assert named.optimizers.Optimizer().apply([1, 2], ["a", "b"]) == [(1, "a"), (2, "b")]
    assert named.layers.DepthwiseConv2D().kernel == "its kernel"
    attention = named.layers.MultiHeadAttention()
    assert (attention.query_dense, attention.output_dense) == ("query", "output")


def test_what_keras_2_lacks_it_says_itself(named: Any) -> None:
    with pytest.raises(AttributeError, match=r"module 'keras\.layers' has no attribute 'RMSNorm"):
        _ = named.layers.RMSNormalization
    with pytest.raises(AttributeError, match=r"module 'keras\.ops' has no attribute 'dot_product"):
        _ = named.ops.dot_product_attention


@pytest.mark.parametrize(("left", "right"), [((2,), (2, 3)), ((4, 2), (2, 3)), ((5, 4, 2), (2, 3))])
def test_matmul_takes_vectors_and_stacks_of_matrices(
    named: Any, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(-4, 4, size=left) / 2, rng.integers(-4, 4, size=right) / 2
    assert np.array_equal(named.ops.matmul(x, y).numpy(), x @ y)


def test_one_hot_has_the_dtype_of_the_model(named: Any) -> None:
    hot = named.ops.one_hot(np.array([1, 0]), 2)
    assert hot.dtype.name == "float32"
    assert hot.numpy().tolist() == [[0.0, 1.0], [1.0, 0.0]]


# --- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("installed", "name"),
    [
        (KERAS_2, "Keras 2"),
        ({"keras": "2.13.1rc0"}, "Keras 2"),
        (KERAS_3, ""),
        ({"keras": "3.0.0"}, ""),
        ({"keras": ""}, ""),
        ({}, ""),
    ],
)
def test_a_contract_is_that_of_the_versions(installed: dict[str, str], name: str) -> None:
    assert TENSORFLOW.of(installed).release == name
    assert (TENSORFLOW.of(installed) is TENSORFLOW) == (not name)


def test_the_oldest_of_two_sides_is_what_cases_are_drawn_from() -> None:
    assert TENSORFLOW.oldest([KERAS_3, KERAS_2]).release == "Keras 2"
    assert TENSORFLOW.oldest([KERAS_3, KERAS_3]) is TENSORFLOW


def test_what_keras_2_lacks_is_not_run_and_told() -> None:
    class Place:
        def versions(self, backend: str, packages: tuple[str, ...]) -> dict[str, str]:
            return KERAS_2

    case = by("each_variable")
    points = record(case, "tensorflow", Place())  # type: ignore[arg-type]
    assert [point["error"][0] for point in points] == [NOT_OFFERED]
    evidence = evidence_of(case, observation(case, "tensorflow", points), None, KERAS_2)
    (finding,) = findings(evidence)
    assert finding.severity == "unsupported"
    assert f"{finding.message}: {finding.got}".startswith("each_variable is not offered: a var")
    assert points[0]["error"][1].startswith("each_variable: a variable of Keras 2 is one of")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dtype": "bfloat16"}, "bfloat16: set_floatx"),
        ({"accumulation": 2}, "accumulation: "),
    ],
)
def test_a_part_of_a_case_that_keras_2_lacks_is_named(changed: dict[str, Any], said: str) -> None:
    case = replace(keras(simple_case()), **changed)
    assert case.lacking("tensorflow") == ""
    assert case.lacking("tensorflow", TENSORFLOW.of(KERAS_2)).startswith(said)


def test_cases_for_keras_2_ask_for_nothing_that_it_lacks() -> None:
    contract = TENSORFLOW.of(KERAS_2)
    corpus = drawn(["tensorflow"], 25, 3, [], {"tensorflow": contract})
    cases = [entry.case for entry in corpus[-25:]]
    assert {case.lacking("tensorflow", contract) for case in cases} == {""}
    settings = [(c, a) for c in cases for a in c.program if isinstance(a, Freeze | Thaw)]
    assert len(settings) > 25
    assert not any(action.target in case.architecture.weights for case, action in settings)


def nested() -> Case:
    """A block that is frozen, and the layer in it thawed."""
    inner = Block(members=(Dense(units=2),), nodes=(Node(0, (0,)),))
    block = Block(members=(inner, Dense(units=1)), nodes=(Node(0, (0,)), Node(1, (1,))))
    architecture = Architecture((Spec((3,)),), block)
    rng = np.random.default_rng(1)
    program = (Freeze("block_0"), Thaw("block_0.dense_0"), Step(0), Gradient(0))
    case = simple_case()
    realisation = replace(
        case.realisations["tensorflow"],
        ways=("layer_trainable", "layer_trainable", None, None),
    )
    weights = {
        name: rng.integers(-64, 64, size=p.shape) / 64
        for name, p in architecture.parameters.items()
    }
    return replace(
        case,
        architecture=architecture,
        weights=weights,
        program=program,
        realisations={"tensorflow": realisation},
    ).check()


def test_in_keras_2_the_flag_of_a_model_holds_back_what_is_in_it() -> None:
    case = nested()
    today, before = (
        case.course("tensorflow", contract)[2] for contract in (TENSORFLOW, TENSORFLOW.of(KERAS_2))
    )
    assert today.flags.trainable == before.flags.trainable
    assert "block_0.dense_0.kernel" in today.acting.trainable
    assert "block_0.dense_0.kernel" not in before.acting.trainable
    assert "dense_1.kernel" in before.acting.trainable


def test_in_keras_2_a_step_with_nothing_is_silent_by_whichever_call() -> None:
    case = keras(simple_case(), optimizer_call="apply_gradients", optimizer_build="first_step")
    ways = ("layer_trainable", None)
    realisation = replace(case.realisations["tensorflow"], ways=ways)
    case = replace(
        case, program=(Freeze(""), Step(0)), realisations={"tensorflow": realisation}
    ).check()
    contracts = (TENSORFLOW, TENSORFLOW.of(KERAS_2))
    raised = [expect(case, "tensorflow", c).points[-1].raises for c in contracts]
    assert raised == [("ValueError", "not enough values to unpack"), None]


def test_torch_has_the_points_of_releases_of_keras() -> None:
    assert all(release.clauses.keys() <= TORCH.clauses.keys() for release in TENSORFLOW.releases)


# --- in Keras 2 itself ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place() -> Iterator[Apart]:
    with apart_in("INVARIANTS_KERAS_2", "Keras 2") as apart:
        yield apart


@pytest.mark.parametrize("case", [by("layer_trainable"), nested()], ids=["flat", "nested"])
def test_a_case_passes_in_keras_2(place: Apart, case: Case) -> None:
    assert judge(case, "tensorflow", place=place).findings == ()
