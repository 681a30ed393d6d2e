"""What a Keras script does at an action that computes no gradients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from invariants.backends.source import Lowering, arrays_of_a_batch, definitions
from invariants.backends.tensorflow import modes
from invariants.case import Case
from invariants.oracle.contract import CONTRACTS
from invariants.program import Compile, Evaluate, Reload, SetMode, SetRate

NAME = "tensorflow"

#: Reload's way -> its lines, before the optimizer is made anew where it has to be.
_RELOADS: dict[str, Sequence[str]] = {
    "set_weights": ("model.set_weights(model.get_weights())",),
    "finalize_variable_values": ("optimizer.finalize_variable_values(model.trainable_variables)",),
    "weights_file": (
        "with tempfile.TemporaryDirectory() as folder:",
        '    model.save_weights(folder + "/model.weights.h5")',
        '    model.load_weights(folder + "/model.weights.h5")',
    ),
    "clone_model": (
        "original, model = model, keras.models.clone_model(model)",
        "model.set_weights(original.get_weights())",
    ),
    "from_config": (
        "original = model",
        "model = {model_class}.from_config(model.get_config(), custom_objects=CUSTOM)",
        "model.set_weights(original.get_weights())",
    ),
    "keras_file": (
        "with tempfile.TemporaryDirectory() as folder:",
        '    file = folder + "/model.keras"',
        "    model.save(file)",
        "    model = keras.models.load_model(file, custom_objects=CUSTOM, compile=False)",
    ),
    "compiled_file": (
        "with tempfile.TemporaryDirectory() as folder:",
        '    file = folder + "/model.keras"',
        "    model.save(file)",
        "    model = keras.models.load_model(file, custom_objects=CUSTOM)",
    ),
}


def _evaluate(case: Case, action: Evaluate, way: str, given: Sequence[str]) -> list[str]:
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    feed = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    call = f"model({feed}, training={action.training})"
    if way == "predict":
        call = f"model.predict({feed}, verbose=0)"
    if way == "evaluate":
        call = f"model.evaluate({', '.join(given)}, verbose=0)"
    return [f"{', '.join(arrays_of_a_batch(case))} = batch({action.batch})", call]


def lines(
    case: Case,
    number: int,
    action: Evaluate | SetMode | SetRate | Compile | Reload,
    way: str | None,
    optimizer: Sequence[str],
    made_anew: Sequence[str],
    given: Sequence[str],
) -> list[str]:
    """The lines of action `number`.

    optimizer: those that make one. made_anew: those that give a new model what no config holds.
    given: the arguments of a model that is compiled.
    """
    done: list[str] = []
    if isinstance(action, Evaluate):
        done = _evaluate(case, action, way or "", given)
    elif isinstance(action, SetRate):
        done = [f"optimizer.learning_rate = {case.optimizer.learning_rate * action.factor!r}"]
    elif isinstance(action, Compile):
        done = [*optimizer]
    elif isinstance(action, Reload):
        named = modes.model_class(case)
        done = [line.replace("{model_class}", named) for line in _RELOADS[way or ""]]
        left = CONTRACTS[NAME].reloading(way or "").optimizer
        if left != "kept":
            done += [*made_anew, "follow(model)"]
            done += ["optimizer = model.optimizer"] if left == "loaded" else optimizer
    return [*done, f"note({number})"]


def head(case: Case, lowerings: Mapping[str, Lowering]) -> tuple[list[str], list[str]]:
    """What the program needs: imports, and the line that names the classes of the script."""
    ways = case.realisations[NAME].ways
    needed = " ".join(line for way in ways for line in _RELOADS.get(way or "", ()))
    imports = ["import tempfile"] if "tempfile" in needed else []
    if "CUSTOM" not in needed:
        return imports, []
    lines = [*definitions(case, lowerings), *modes.classes(case)]
    classes = re.findall(r"^class (\w+)", "\n".join(lines), re.M)
    return imports, [f"CUSTOM = {{{', '.join(f'{name!r}: {name}' for name in classes)}}}", "", ""]
