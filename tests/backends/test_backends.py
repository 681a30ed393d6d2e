"""A case becomes a script of its own names alone, and its numbers go there and back to the bit."""

from __future__ import annotations

import ast
import builtins
import importlib
import linecache
import re
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import torch_case
from hypothesis import given
from hypothesis import strategies as st
from tests_support import simple_case

from invariants import backends
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.recurrent import LSTM, SimpleRNN, StackedGRU
from invariants.backends import (
    BACKENDS,
    native_arrays,
    native_element,
    observation,
    observe,
    places,
)
from invariants.backends.runner import BackendUnavailable, compiled, prepare, run
from invariants.case import Case, Realisation, from_json, frozen, numpy_dtype
from invariants.generate.cases import cases
from invariants.judge import gather, judge
from invariants.observation import Array, Raised, same_bits
from invariants.program import Gradient
from invariants.properties import findings

names_of_backends = st.sampled_from(sorted(BACKENDS))

#: What the runner gives a script beside Python's own names.
GIVEN = {"trained", "follow", "note", "load", "batch", "action", "record", "draws"}

#: Text that a script may hold, beside the names of members and a layer's or optimizer's own words.
WORDS = {
    *("bfloat16", "float16", "sum", "batchmean", "mean_with_sample_weight", "zeros", "zero"),
    *("different", "aot_eager", "inductor", "mixed_bfloat16", "mixed_float16"),
    *("output_0", "output_1", "output_2"),
    *(
        "seed_generator",
        "lr",
        "/model.weights.h5",
        "/model.keras",
        "float32",
        "float64",
        "int32",
        "network",
        "none",
        "tanh",
        "same",
        "valid",
        "causal",
        "groups",
        "bias",
        "gelu",
        "silu",
    ),
    *("attention", "up", "down", "attention_norm", "dense_norm"),
    "CPU:0",
    *("embeddings", "relu", "lstm", "gru", "cells", "first", "second"),
    *("softplus", "sigmoid", "components", "mean", "moving_mean", "moving_variance"),
    *("log_softmax", "log_sigmoid", "softsign", "tanh_shrink", "mish", "selu", "relu"),
    *("relu6", "hard_tanh", "hard_sigmoid", "hard_silu"),
    *("base", "lora_a", "lora_b", "down", "up", "projection", "direction", "magnitude", "bias"),
    *("strides", "padding", "dilation_rate", "vector_u", "vector_v", "tokens"),
    *("params", "lr", "model", "optimizer", "nearest", "linear", "bilinear", "ave", "mul"),
    *("dense", "embedding", "simple_rnn"),
    *("scheduler", "schedulers", "averaged", "cpu", "loss", "gradient", "train_step", "Trained"),
    *("gradient_in_inference", "train_step_in_inference", "train_step_of_2"),
    *("train_step_of_2_in_inference", "train_step_of_3", "train_step_of_3_in_inference"),
    *("query", "key", "value", "output", "prefix_key", "prefix_value"),
}


# --- the source -----------------------------------------------------------------------------------


def assigned(tree: ast.Module) -> set[str]:
    """Every name that the script itself makes."""
    made = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {alias.asname or alias.name for alias in node.names}
    return made


def used(tree: ast.Module) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def texts(tree: ast.Module) -> set[str]:
    """The strings of a script, docstrings left out."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and isinstance(node.body[0], ast.Expr)
    }
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {n.value for n in constants if isinstance(n.value, str) and id(n) not in docstrings}


def members(case: Case) -> set[str]:
    """The names that the numbering gives, each without the path before it, and with what follows.

    A path as a whole, with a point, begins the names of its weights.
    """
    paths = case.architecture.paths
    return {path.rpartition(".")[2] for path in paths} | {f"{path}." for path in paths}


@given(cases(), names_of_backends)
def test_a_source_compiles_and_uses_only_names_that_it_makes(case: Case, backend: str) -> None:
    source = BACKENDS[backend].render(case)
    compile(source, "<case>", "exec")
    tree = ast.parse(source)
    assert used(tree) - assigned(tree) <= GIVEN | set(dir(builtins))


@given(cases(), names_of_backends)
def test_a_source_names_members_by_their_numbers_alone(case: Case, backend: str) -> None:
    source = BACKENDS[backend].render(case)
    numbered = set(re.findall(r"\b[a-z]+[a-z0-9_]*_\d+\b", source))
    built = {"build_" + path.replace(".", "_") for path in case.architecture.blocks}
    numbered -= {f"{o}{n}_{i}" for o in ("", "adam_") for n in ("beta", "epsilon") for i in (1, 2)}
    numbered -= set(re.findall(r"\b(?:[xyw]\d?_\d|train_step_of_\d|output_\d)\b", source))
    assert numbered <= members(case) | built
    # A weight is called by the path of its layer, and by what the framework or the case calls it.
    of_a_layer = tuple(f"{path}." for path in case.architecture.paths)
    said = {text for text in texts(ast.parse(source)) if not text.startswith(of_a_layer)}
    assert said <= members(case) | WORDS


@given(cases(), names_of_backends)
def test_the_same_case_has_the_same_source(case: Case, backend: str) -> None:
    assert BACKENDS[backend].render(from_json(case.to_json())) == BACKENDS[backend].render(case)


@given(cases(), names_of_backends)
def test_no_weight_and_no_batch_stands_in_a_source(case: Case, backend: str) -> None:
    others = replace(
        case,
        weights={name: frozen(array + 1.0) for name, array in case.weights.items()},
        batches=tuple(
            replace(batch, inputs=tuple(frozen(x * 0.0) for x in batch.inputs))
            for batch in case.batches
        ),
    ).check()
    assert BACKENDS[backend].render(others) == BACKENDS[backend].render(case)


@given(cases(), names_of_backends)
def test_every_action_stands_in_a_with_of_its_own(case: Case, backend: str) -> None:
    tree = ast.parse(BACKENDS[backend].render(case))
    body = tree.body
    in_a_region = case.realisations["torch"].mode == "autocast_kept"
    if backend == "tensorflow" or in_a_region:  # the program stands in a context of its own
        body = body[-1].body if isinstance(body[-1], ast.With) else []
    opened = [
        ast.unparse(node.items[0].context_expr) for node in body if isinstance(node, ast.With)
    ]
    assert opened == [f"action({number})" for number in range(len(case.program))]


# --- native layouts -------------------------------------------------------------------------------


def recorded(case: Case, backend: str) -> dict[str, Any]:
    """A record as a framework makes it that gives back the case's own numbers as gradients."""
    arrays = native_arrays(case, backend)
    held = numpy_dtype(case.dtype)
    weights = {name: array.astype(held) for name, array in arrays["weights"].items()}
    count = len(case.architecture.inputs)
    inputs = {
        f"input_{i}": array if array.dtype == np.int64 else array.astype(held)
        for i, array in enumerate(arrays["batches"][0][:count])
    }
    return {
        "action": 0,
        "weights": weights,
        "loss": np.zeros(()),
        "gradients": {**weights, **inputs},
        "flags": {},
        "slots": {},
    }


@given(cases(), names_of_backends)
def test_numbers_go_to_a_framework_and_back_to_the_bit(case: Case, backend: str) -> None:
    (point,) = observation(case, backend, [recorded(case, backend)]).points
    assert list(point.weights) == list(case.weights)
    for name, array in case.weights.items():
        assert same_bits(point.weights[name], array.astype(numpy_dtype(case.dtype)))
    for name in case.architecture.weights:
        gradient = point.gradients[name]
        assert gradient is not None
        assert same_bits(gradient, case.weights[name].astype(numpy_dtype(case.dtype)))
    for number, array in enumerate(case.batches[0].inputs):
        indices = case.architecture.inputs[number].vocabulary is not None
        gradient = point.gradients[f"input_{number}"]
        assert gradient is not None
        assert same_bits(gradient, array.astype(np.int64 if indices else numpy_dtype(case.dtype)))


def counted(shape: tuple[int, ...]) -> Array:
    return np.arange(float(np.prod(shape, dtype=int))).reshape(shape)


@given(cases(), names_of_backends, st.data())
def test_an_element_is_the_same_number_in_both_layouts(
    case: Case, backend: str, data: st.DataObject
) -> None:
    numbered = replace(case, weights={n: counted(a.shape) for n, a in case.weights.items()})
    name = data.draw(st.sampled_from(sorted(case.weights)))
    element = data.draw(st.sampled_from(list(np.ndindex(case.weights[name].shape))))
    native, place = native_element(case, backend, name, element)
    held = native_arrays(numbered, backend)["weights"][native]
    assert held[place] == numbered.weights[name][element]


@given(cases(), names_of_backends, st.data())
def test_an_element_of_an_input_is_the_same_number_in_both_layouts(
    case: Case, backend: str, data: st.DataObject
) -> None:
    batch = case.batches[0]
    number = data.draw(st.integers(0, len(batch.inputs) - 1))
    inputs = tuple(counted(array.shape) for array in batch.inputs)
    numbered = replace(case, batches=(replace(batch, inputs=inputs),))
    element = data.draw(st.sampled_from(list(np.ndindex(inputs[number].shape))))
    native, place = native_element(case, backend, f"input_{number}", element)
    assert native == f"input_{number}"
    held = native_arrays(numbered, backend)["batches"][0][number]
    assert held[place] == inputs[number][element]


def test_an_error_and_warnings_are_kept_by_action() -> None:
    case = simple_case()
    raw: list[dict[str, Any]] = [
        {"action": 1, "error": ("ValueError", "no"), "frames": []},
        {"action": 2, "warnings": [("UserWarning", "a"), ("UserWarning", "b")]},
    ]
    seen = observation(case, "torch", raw)
    assert seen.errors == {1: Raised("ValueError", "no")}
    assert seen.warnings == {2: (("UserWarning", "a"), ("UserWarning", "b"))}
    assert seen.points == ()


# --- the runner -----------------------------------------------------------------------------------

EMPTY: dict[str, Any] = {"weights": {}, "batches": []}

READS_ITSELF = """\
import linecache, sys
with action(0):
    raise LookupError(linecache.getline(sys._getframe().f_code.co_filename, 3))
"""


def test_a_source_can_be_read_while_it_runs_and_not_after() -> None:
    (point,) = run("torch", READS_ITSELF, EMPTY)
    assert (point["action"], point["error"][0]) == (0, "LookupError")
    assert point["error"][1] == READS_ITSELF.splitlines()[2] + "\n"
    assert not [name for name in linecache.cache if name.startswith("<case ")]


def test_a_source_that_fails_is_forgotten_too() -> None:
    run("torch", "raise ValueError('no')\n", EMPTY)
    assert not [name for name in linecache.cache if name.startswith("<case ")]


def test_two_sources_have_names_of_their_own() -> None:
    (_, first), (_, second) = compiled("pass\n"), compiled("pass\n")
    try:
        assert first != second
    finally:
        for name in (first, second):
            linecache.cache.pop(name)


def test_an_exception_outside_of_every_action_is_an_error_before_the_first() -> None:
    (point,) = run("torch", "raise KeyError('no')\n", EMPTY)
    assert (point["action"], point["error"]) == (-1, ("KeyError", "'no'"))
    assert point["frames"][-1][1:] == ("<module>", "raise KeyError('no')")


def test_an_exception_in_an_action_ends_that_action_alone() -> None:
    source = "with action(0):\n    raise KeyError('no')\nwith action(1):\n    1 / 0\n"
    assert [(p["action"], p["error"][0]) for p in run("torch", source, EMPTY)] == [
        (0, "KeyError"),
        (1, "ZeroDivisionError"),
    ]


def test_a_warning_is_kept_with_its_action_each_time() -> None:
    line = "    warnings.warn('beware')\n"
    source = f"import warnings\nwith action(0):\n{line}with action(1):\n{line}"
    told = [("UserWarning", "beware")]
    assert run("torch", source, EMPTY) == [
        {"action": 0, "warnings": told},
        {"action": 1, "warnings": told},
    ]


def test_what_a_script_is_stopped_by_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        run("torch", "with action(0):\n    raise KeyboardInterrupt\n", EMPTY)


def test_a_script_cannot_change_the_numbers_of_the_next_run() -> None:
    case = simple_case()
    arrays = native_arrays(case, "torch")
    before = {name: array.copy() for name, array in arrays["weights"].items()}
    seen = observation(case, "torch", run("torch", BACKENDS["torch"].render(case), arrays))
    moved = seen.points[-1].weights["dense_0.bias"]
    assert not same_bits(moved, before["dense_0.bias"])
    assert all(same_bits(array, before[name]) for name, array in arrays["weights"].items())


# --- a framework that is not there ----------------------------------------------------------------

# `prepare` keeps what it made; what is asked here is how it is made.
unprepared = prepare.__wrapped__


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_framework_that_is_absent_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(BackendUnavailable, match=f"^{backend} is not installed") as caught:
        unprepared(backend)
    assert "\n" not in str(caught.value)
    assert f"freeze-invariants[{backend}]" in str(caught.value)


@pytest.mark.parametrize("error", [ImportError("no such symbol\nat all"), RuntimeError("")])
def test_a_framework_that_does_not_import_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(BackendUnavailable, match="cannot be used") as caught:
        unprepared("torch")
    assert "\n" not in str(caught.value)
    assert type(error).__name__ in str(caught.value)
    assert caught.value.__cause__ is error


def test_an_unavailable_backend_is_no_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(backends.runner, "prepare", unprepared)
    with pytest.raises(BackendUnavailable):
        observe(simple_case(), "torch")


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "keras":
            raise metadata.PackageNotFoundError(package)
        return "2.21.0"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(places, "_installed", places._installed.__wrapped__)
    assert backends.versions("tensorflow") == {"tensorflow": "2.21.0", "keras": ""}
    assert not backends.installed("tensorflow")
    assert backends.installed("torch")


# --- what runs in other environments --------------------------------------------------------------

RECORDERS = {
    "torch": {"contextlib", "copy", "sys", "traceback", "warnings", "numpy", "torch"},
    "tensorflow": {"contextlib", "re", "traceback", "warnings", "numpy", "tensorflow", "keras"},
}


def _taken_from(tree: ast.Module) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def _imported(tree: ast.Module) -> set[str]:
    """The packages that a module imports anywhere."""
    plain = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    names = [alias.name for node in plain for alias in node.names]
    names += [node.module or "" for node in _taken_from(tree)]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("file", ["worker", "runner", "wire"])
def test_a_worker_needs_numpy_alone_and_python_3_8(file: str) -> None:
    path = Path(backends.__file__).with_name(f"{file}.py")
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    later = {"cache", "batched", "pairwise", "Self"}
    assert all(later.isdisjoint(a.name for a in node.names) for node in _taken_from(tree))
    # ml_dtypes is imported where an array of bfloat16 is read, which is where it came from.
    assert _imported(tree) <= {*sys.stdlib_module_names, "numpy", "ml_dtypes"}


@pytest.mark.parametrize("backend", RECORDERS)
def test_a_recorder_needs_numpy_and_its_framework_alone(backend: str) -> None:
    path = Path(backends.__file__).with_name(f"recorder_{backend}.py")
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    assert all(node.level == 0 for node in _taken_from(tree))
    assert _imported(tree) <= RECORDERS[backend]
    assert "Recorder" in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_is_imported_without_its_framework(backend: str) -> None:
    tree = ast.parse(Path(BACKENDS[backend].__file__).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names}.isdisjoint({"torch", "tensorflow", "keras"})
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in {"torch", "tensorflow", "keras"}


# --- the frameworks themselves --------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_framework_holds_the_numbers_of_the_case_to_the_bit(backend: str) -> None:
    if not backends.installed(backend):
        pytest.skip(f"{backend} is not installed")
    case = simple_case()
    seen = observe(case, backend)
    loaded = seen.at(-1)
    assert loaded is not None
    assert not seen.errors
    assert [point.action for point in seen.points] == [-1, 1, 2, 4]
    for name, array in case.weights.items():
        assert same_bits(loaded.weights[name], array.astype("float32"))


def test_two_frameworks_agree_on_one_case() -> None:
    if not backends.installed("tensorflow"):
        pytest.skip("tensorflow is not installed")
    case = simple_case()
    torch, keras = gather(case, "torch"), gather(case, "tensorflow")
    compared = replace(torch, other=keras)
    assert torch.deviations.keys() == keras.deviations.keys()
    assert findings(compared) == []


@pytest.mark.skipif(not backends.installed("tensorflow"), reason="needs TensorFlow")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("layer", [SimpleRNN(units=2), LSTM(units=2), StackedGRU(units=2)])
def test_recurrent_layers_of_keras_run_in_16_bits(layer: AnyLayer, dtype: str) -> None:
    """The orthogonal initializer of their kernels has no operation there."""
    plain = torch_case((layer, Dense(units=1)), (Gradient(0),), inputs=(3, 2), dtype=dtype)
    case = replace(plain, realisations={"tensorflow": Realisation("tape", (None,), {})})
    assert not judge(case.check(), "tensorflow").findings
