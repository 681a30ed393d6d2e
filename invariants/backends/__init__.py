"""The backends: a case becomes a script, and what the script recorded an Observation."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from typing import Any, Protocol

import numpy as np

from invariants.backends import runner
from invariants.backends import tensorflow as _tensorflow
from invariants.backends import torch as _torch
from invariants.backends.source import Lowering, NativeParameter
from invariants.case import Case
from invariants.observation import Array, Observation, ObservedPoint


class Backend(Protocol):
    """What a backend's module offers."""

    NAME: str
    PACKAGES: tuple[str, ...]
    LOWERINGS: dict[str, Lowering]
    VALUE_AXES: dict[int, tuple[int, ...]]

    def render(self, case: Case) -> str: ...


BACKENDS: dict[str, Any] = {_torch.NAME: _torch, _tensorflow.NAME: _tensorflow}


def versions(backend: str) -> dict[str, str]:
    """The installed versions of a backend's packages, "" for one that is not installed."""
    found = {}
    for package in BACKENDS[backend].PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = ""
    return found


def installed(backend: str) -> bool:
    """Whether the packages of a backend are there; importing them may still fail."""
    return all(versions(backend).values())


def _native_parameters(case: Case, backend: str) -> dict[str, NativeParameter]:
    """canonical name -> native name and layout."""
    rows = BACKENDS[backend].LOWERINGS
    return {
        f"{placed.path}.{parameter.name}": replace(row, name=f"{placed.path}.{row.name}")
        for placed in case.architecture.layers
        for parameter in placed.parameters
        for row in (rows[placed.layer.kind].parameters[parameter.name],)
    }


def _to_native(array: Array, axes: tuple[int, ...] | None) -> Array:
    return np.ascontiguousarray(array if axes is None else array.transpose(axes))


def _to_canonical(array: Array, axes: tuple[int, ...] | None) -> Array:
    return array if axes is None else array.transpose(np.argsort(axes))


def native_arrays(case: Case, backend: str) -> dict[str, Any]:
    """The numbers of a case in the framework's names, layouts and dtypes."""
    axes_of = BACKENDS[backend].VALUE_AXES
    names = _native_parameters(case, backend)
    weights = {
        native.name: native.to_native(case.weights[name]).astype(case.dtype)
        for name, native in names.items()
    }
    specs, output = case.architecture.inputs, case.architecture.output
    batches = []
    for batch in case.batches:
        arrays = [
            _to_native(array, axes_of.get(spec.rank)).astype(
                np.int64 if spec.vocabulary is not None else case.dtype
            )
            for array, spec in zip(batch.inputs, specs, strict=True)
        ]
        if case.loss == "mse":
            arrays.append(_to_native(batch.target, axes_of.get(output.rank)).astype(case.dtype))
        else:
            arrays.append(batch.target.astype(np.int64))
        batches.append(tuple(arrays))
    return {"weights": weights, "batches": batches}


def native_element(
    case: Case, backend: str, name: str, element: tuple[int, ...]
) -> tuple[str, tuple[int, ...]]:
    """The native name and index of one element of a parameter or an input."""
    if name.startswith("input_"):
        spec = case.architecture.inputs[int(name.rpartition("_")[2])]
        native = NativeParameter(name, BACKENDS[backend].VALUE_AXES.get(spec.rank))
    else:
        native = _native_parameters(case, backend)[name]
    if native.moved is not None and name in case.weights:
        shape = case.weights[name].shape
        if len(element) == len(shape):
            number = int(np.ravel_multi_index(element, shape))
            places = native.to_native(np.arange(case.weights[name].size).reshape(shape))
            return native.name, tuple(int(i) for i in np.argwhere(places == number)[0])
    if native.axes is None or len(element) != len(native.axes):
        return native.name, element
    return native.name, tuple(element[axis] for axis in native.axes)


def observation(case: Case, backend: str, recorded: list[dict[str, Any]]) -> Observation:
    """The recorded points in canonical names and layouts."""
    names = _native_parameters(case, backend)
    input_axes = {
        f"input_{i}": BACKENDS[backend].VALUE_AXES.get(spec.rank)
        for i, spec in enumerate(case.architecture.inputs)
    }
    value_axes = {
        placed.path: BACKENDS[backend].VALUE_AXES.get(placed.specs[0].rank)
        for placed in case.architecture.layers
        if placed.layer.stochastic
    }
    points, errors, warnings, draws = [], {}, {}, {}
    for raw in recorded:
        if "draws" in raw:
            draws[raw["action"]] = {
                path: tuple(_to_canonical(array, value_axes[path]) for array in held)
                for path, held in raw["draws"].items()
            }
        elif "error" in raw:
            errors[raw["action"]] = raw["error"]
        elif "warnings" in raw:
            warnings[raw["action"]] = tuple(raw["warnings"])
        else:
            points.append(_point(case, raw, names, input_axes))
    return Observation(backend, tuple(points), errors, warnings, draws)


def _point(
    case: Case,
    raw: dict[str, Any],
    names: dict[str, NativeParameter],
    input_axes: dict[str, tuple[int, ...] | None],
) -> ObservedPoint:
    weights = list(case.architecture.weights)
    held = {
        name: native.to_canonical(raw["weights"][native.name], case.weights[name].shape)
        for name, native in names.items()
    }
    if "gradients" not in raw:
        return ObservedPoint(raw["action"], held)
    gradients: dict[str, Array | None] = {}
    for name in weights:
        gradient = raw["gradients"].get(names[name].name)
        if gradient is not None:
            gradient = names[name].to_canonical(gradient, case.weights[name].shape)
        gradients[name] = gradient
    for name, axes in input_axes.items():
        if raw["gradients"].get(name) is not None:
            gradients[name] = _to_canonical(raw["gradients"][name], axes)
    return ObservedPoint(
        action=raw["action"],
        weights=held,
        loss=raw["loss"],
        gradients=gradients,
        flags={n: raw["flags"][names[n].name] for n in weights if names[n].name in raw["flags"]},
        slots={n: raw["slots"][names[n].name] for n in weights if names[n].name in raw["slots"]},
    )


def observe(case: Case, backend: str) -> Observation:
    """Renders `case`, runs it on `backend` in this process, and gives what was recorded."""
    source = BACKENDS[backend].render(case)
    return observation(case, backend, runner.run(backend, source, native_arrays(case, backend)))
