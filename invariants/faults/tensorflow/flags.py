"""Flags and gradients: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults

_ROWS = {
    "trainable_stays_outside": Row(
        "layer.trainable does not reach the layers inside.", ("keras.layers.Layer.trainable",)
    ),
    "trainable_forgets_biases": Row(
        "layer.trainable leaves out the variables that are called bias.",
        ("keras.layers.Layer.trainable",),
    ),
    "variable_never_freezes": Row(
        "variable.trainable = False does nothing.", ("keras.Variable.trainable",)
    ),
    "frozen_listed_as_trainable": Row(
        "trainable_variables lists frozen variables too.",
        ("keras.layers.Layer.trainable_variables",),
    ),
    "constructor_forgets_trainable": Row(
        "A layer takes no notice of trainable=False in its constructor.",
        ("keras.layers.Layer.__init__",),
    ),
    "build_thaws": Row(
        "What a frozen layer builds is trainable.", ("keras.layers.Layer.add_weight",)
    ),
}


def trainable_stays_outside(trainable: Any) -> Any:
    def outside(self: Any, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._trainable_variables:
            variable.trainable = value

    return property(trainable.fget, outside)


def trainable_forgets_biases(trainable: Any) -> Any:
    def forgetful(self: Any, value: bool) -> None:
        biases = [v for v in self.variables if v.name == "bias"]
        flags = [v.trainable for v in biases]
        trainable.fset(self, value)
        for variable, flag in zip(biases, flags, strict=True):
            variable.trainable = flag

    return property(trainable.fget, forgetful)


def variable_never_freezes(trainable: Any) -> Any:
    def never(self: Any, value: bool) -> None:
        trainable.fset(self, True)

    return property(trainable.fget, never)


def frozen_listed_as_trainable(trainable_variables: Any) -> Any:
    def listed(self: Any) -> Any:
        return [v for layer in self._flatten_layers() for v in layer._trainable_variables]

    return property(listed)


def constructor_forgets_trainable(init: Any) -> Any:
    def forgetful(self: Any, *args: Any, trainable: bool = True, **options: Any) -> None:
        init(self, *args, **options)

    return forgetful


def build_thaws(add_weight: Any) -> Any:
    def thawing(self: Any, *args: Any, **options: Any) -> Any:
        variable = add_weight(self, *args, **options)
        variable.trainable = options.get("trainable", True)
        return variable

    return thawing


FAULTS = faults("tensorflow", _ROWS, globals())
