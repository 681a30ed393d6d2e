"""The backends: a case becomes a script, and what the script recorded an Observation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from invariants.backends import runner
from invariants.backends import tensorflow as _tensorflow
from invariants.backends import torch as _torch
from invariants.backends.places import HERE, Place
from invariants.backends.source import (
    Axes,
    Lowering,
    NativeParameter,
    canonical_from,
    native_from,
)
from invariants.case import Case, numpy_dtype
from invariants.observation import NOT_OFFERED, Array, Observation, ObservedPoint, Raised
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.losses import LOSSES


class Backend(Protocol):
    """What a backend's module offers."""

    NAME: str
    PACKAGES: tuple[str, ...]
    LOWERINGS: dict[str, Lowering]
    VALUE_AXES: dict[int, Axes]

    def render(self, case: Case, installed: Mapping[str, str] = ...) -> str: ...


BACKENDS: dict[str, Any] = {_torch.NAME: _torch, _tensorflow.NAME: _tensorflow}


def versions(backend: str, place: Place = HERE) -> dict[str, str]:
    """The installed versions of a backend's packages, "" for one that is not installed."""
    return place.versions(backend, BACKENDS[backend].PACKAGES)


def installed(backend: str) -> bool:
    """Whether the packages of a backend are there; importing them may still fail."""
    return all(versions(backend).values())


def layouts(case: Case, backend: str) -> dict[str, NativeParameter]:
    """canonical name -> native name and layout."""
    rows = BACKENDS[backend].LOWERINGS
    return {
        f"{placed.path}.{parameter.name}": replace(
            row, name=f"{placed.path}.{row.name}", shape=parameter.shape
        )
        for placed in case.architecture.layers
        for parameter in placed.parameters
        for row in (rows[placed.layer.kind].parameters[parameter.name],)
    }


def native_arrays(case: Case, backend: str) -> dict[str, Any]:
    """The numbers of a case in the framework's names, layouts and dtypes.

    bfloat16, which NumPy lacks, comes as float32 that holds the same numbers.
    """
    dtype = "float32" if case.dtype == "bfloat16" else case.dtype
    axes_of = BACKENDS[backend].VALUE_AXES
    names = layouts(case, backend)
    weights = {
        native.name: native.to_native(case.weights[name]).astype(dtype)
        for name, native in names.items()
    }
    specs, outputs = case.architecture.inputs, case.architecture.outputs
    batches = []
    for batch in case.batches:
        arrays = [
            native_from(array, axes_of.get(spec.rank)).astype(
                np.int64 if spec.vocabulary is not None else dtype
            )
            for array, spec in zip(batch.inputs, specs, strict=True)
        ]
        for array, term in zip(batch.targets, case.objective, strict=True):
            if LOSSES[term.loss].target == "classes":
                arrays.append(array.astype(np.int64))
            else:
                axes = axes_of.get(outputs[term.output].rank)
                arrays.append(native_from(array, axes).astype(dtype))
        arrays += [array.astype(dtype) for array in batch.weights if array is not None]
        batches.append(tuple(arrays))
    return {"dtype": case.dtype, "weights": weights, "batches": batches}


def native_element(
    case: Case, backend: str, name: str, element: tuple[int, ...]
) -> tuple[str, tuple[int, ...]]:
    """The native name and index of one element of a parameter or an input."""
    if name.startswith("input_"):
        spec = case.architecture.inputs[int(name.rpartition("_")[2])]
        native = NativeParameter(name, BACKENDS[backend].VALUE_AXES.get(spec.rank))
    else:
        native = layouts(case, backend)[name]
    if not native.shape:  # an input, whose axes only change places
        if native.axes is None or len(element) < len(native.axes):
            return native.name, element
        return native.name, tuple(element[axis] for axis in native.axes if isinstance(axis, int))
    if len(element) != len(native.shape):
        return native.name, element
    places = np.arange(math.prod(native.shape)).reshape(native.shape)
    at = np.argwhere(native.to_native(places) == places[element])[0]
    return native.name, tuple(int(i) for i in at)


def observation(case: Case, backend: str, recorded: list[dict[str, Any]]) -> Observation:
    """The recorded points in canonical names and layouts."""
    names = layouts(case, backend)
    rows = BACKENDS[backend].LOWERINGS
    input_axes = {
        f"input_{i}": BACKENDS[backend].VALUE_AXES.get(spec.rank)
        for i, spec in enumerate(case.architecture.inputs)
    }
    value_axes = {
        placed.path: (
            rows[placed.layer.kind].drawn_axes.get(placed.specs[0].rank)
            or BACKENDS[backend].VALUE_AXES.get(placed.specs[0].rank)
        )
        for placed in case.architecture.layers
        if placed.layer.stochastic
    }
    points, errors, warnings, draws = [], {}, {}, {}
    for raw in map(_with_bfloat16, recorded):
        if "draws" in raw:
            draws[raw["action"]] = {
                path: tuple(canonical_from(array, value_axes[path]) for array in held)
                for path, held in raw["draws"].items()
            }
        elif "error" in raw:
            errors[raw["action"]] = _raised(raw["error"], raw["frames"])
        elif "warnings" in raw:
            given = raw["warnings"]
            warnings[raw["action"]] = tuple((kind, _of_any_run(text)) for kind, text in given)
        else:
            points.append(_point(case, raw, names, input_axes))
    return Observation(backend, tuple(points), errors, warnings, draws)


#: Functions that may stand between a line and an error that is about the line itself; Keras looks
#: up what is named by a text in functions called get, Keras 2 in some more.
_PASSING_ON = frozenset(
    {
        *("__getattr__", "__init__", "__new__", "get"),
        *("deserialize", "deserialize_keras_object", "set_floatx", "validate", "_method_wrapper"),
        *("_call_impl", "_wrapped_call_impl"),  # a module of torch hands its arguments on there
    }
)


#: A place of an error in code that AutoGraph has converted: file, function, line.
_CODE_OF_A_USER = re.compile(r'^ *File "([^"]+)", line \d+, in (\w+) *\*?\n +(.+)$', re.M)


def _raised(error: tuple[str, str], frames: Sequence[tuple[str, str, str]]) -> Raised:
    """An exception and where it came from; frames: (file, function, line), the outermost first."""
    told = _CODE_OF_A_USER.findall(error[1])
    if told:  # AutoGraph raises it anew, and tells in the message where it comes from
        last = max(
            (n for n, frame in enumerate(frames) if frame[0].startswith(runner.SCRIPT)), default=-1
        )
        frames = [*frames[: last + 1], *told]
    own = [n for n, (file, _, _) in enumerate(frames) if file.startswith(runner.SCRIPT)]
    inside = [function for _, function, _ in frames[own[-1] + 1 :]] if own else []
    lines = tuple(frames[n][2] for n in reversed(own))
    kind, message = error
    about_it = bool(own) and _PASSING_ON.issuperset(inside)
    return Raised(kind, _of_any_run(message), lines, about_it)


#: What a message says of one run or one installation alone, and what stands there in its place.
_OF_ONE_RUN = (
    (re.compile(rf"{runner.SCRIPT}\d+>"), f"{runner.SCRIPT.strip()}>"),
    (re.compile(r"\bcase_\d+\b"), "case"),  # the module of a script
    (re.compile(r'(?<=")[^"\n]*[/\\]site-packages[/\\]'), ""),
    (re.compile(r"[^\s\"'()]*[/\\]site-packages[/\\]"), ""),
    (re.compile(r"[^\s\"'()]*[/\\]tmp[a-z0-9_]{8}(?=[/\\])"), "tmp"),  # a folder of a script
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "0x…"),
)


def _of_any_run(message: str) -> str:
    """A message in the words that every run of the same script with the same release has.

    It can be written: what no encoding has, as half of a surrogate pair, is spelled out.
    """
    for pattern, instead in _OF_ONE_RUN:
        message = pattern.sub(instead, message)
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


def _with_bfloat16(raw: dict[str, Any]) -> dict[str, Any]:
    """A recorded point with bfloat16 where the recorder could only write the same numbers wider."""
    if not raw.get("bfloat16"):
        return raw
    narrow: dict[str, Any] = {
        field: {
            name: array.astype(numpy_dtype("bfloat16"))
            if (field, name) in raw["bfloat16"] and array is not None
            else array
            for name, array in raw[field].items()
        }
        for field in ("weights", "gradients", "averages")
        if field in raw
    }
    return {**raw, **narrow}


def _slots(raw: dict[str, Any], names: dict[str, NativeParameter]) -> dict[str, Any]:
    slots = raw.get("slots", {})
    return {name: slots[row.name] for name, row in names.items() if row.name in slots}


def _point(
    case: Case,
    raw: dict[str, Any],
    names: dict[str, NativeParameter],
    input_axes: dict[str, Axes | None],
) -> ObservedPoint:
    weights = list(case.architecture.weights)
    held = {
        name: native.to_canonical(raw["weights"][native.name]) for name, native in names.items()
    }
    flags = raw.get("flags", {})
    trainable = {n: flags[names[n].name] for n in weights if names[n].name in flags}
    averages = {
        name: native.to_canonical(raw["averages"][native.name])
        for name, native in names.items()
        if native.name in raw.get("averages", {})
    }
    if "gradients" not in raw:
        slots = _slots(raw, names)
        return ObservedPoint(raw["action"], held, flags=trainable, slots=slots, averages=averages)
    gradients: dict[str, Array | None] = {}
    for name in weights:
        native = names[name]
        gradient = raw["gradients"].get(native.name)
        gradients[name] = None if gradient is None else native.to_canonical(gradient)
    for name, axes in input_axes.items():
        if raw["gradients"].get(name) is not None:
            gradients[name] = canonical_from(raw["gradients"][name], axes)
    return ObservedPoint(
        action=raw["action"],
        weights=held,
        loss=raw["loss"],
        gradients=gradients,
        flags=trainable,
        slots=_slots(raw, names),
        averages=averages,
    )


def record(case: Case, backend: str, place: Place = HERE) -> list[dict[str, Any]]:
    """Renders `case` and runs it on `backend`: the recorded points, in native names.

    One that asks for what the release there does not have is not run, and the reason its error.
    """
    installed = versions(backend, place)
    lacks = case.lacking(backend, CONTRACTS[backend].of(installed))
    if lacks:
        return [{"action": -1, "error": (NOT_OFFERED, lacks), "frames": []}]
    seconds = case.runs_in(backend).seconds
    source = BACKENDS[backend].render(case, installed)
    arrays = native_arrays(case, backend)
    return place.run(backend, source, arrays, seconds)


def observe(case: Case, backend: str, place: Place = HERE) -> Observation:
    """Renders `case`, runs it on `backend`, and gives what was recorded."""
    return observation(case, backend, record(case, backend, place))
