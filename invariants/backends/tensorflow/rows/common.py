"""What the rows of several families share.

A construction is left open at its end, so that the layer's name can be added.
"""

from __future__ import annotations

from typing import Any

from invariants.backends.source import Axes, Lowering, NativeParameter, arguments

#: Axes of a value of the network: the canonical layout is Keras's own.
VALUE_AXES: dict[int, Axes] = {}


def layer_row(construct: Any, *parameters: str, definition: str = "") -> Lowering:
    """A row for a layer object; Keras names its weights as the canonical names do."""
    return Lowering(
        construct if callable(construct) else lambda layer, specs: construct,
        lambda layer, name, args, specs: (
            f"{name}({args[0] if len(args) == 1 else '[' + ', '.join(args) + ']'})"
        ),
        {name: NativeParameter(name) for name in parameters},
        definition=definition,
    )


def row(construct: Any, parameters: dict[str, NativeParameter], definition: str) -> Lowering:
    """A row for a class of the script, whose weights are named one by one."""
    return Lowering(construct, layer_row("").call, parameters, definition)


def inner(prefix: str, name: str, *weights: str) -> dict[str, NativeParameter]:
    """The weights of the layer `name` within another."""
    return {
        prefix + weight: NativeParameter(f"{name}/{weight}", attribute=f"{name}.{weight}")
        for weight in weights
    }


def opened(constructor: str, **options: Any) -> str:
    """The construction of a Keras layer with options."""
    return f"keras.layers.{constructor}({arguments(**options)}, "
