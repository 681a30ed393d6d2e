"""Merges of two values or more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from invariants.architecture.layers.base import Spec
from invariants.backends.source import Lowering


def _nested(function: str) -> Lowering:
    return Lowering(
        None,
        lambda layer, name, args, specs: reduce(lambda a, b: f"{function}({a}, {b})", args),
    )


def _dot(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    if layer.normalize:
        dim = -1 if layer.over == "features" else 1
        args = [f"F.normalize({arg}, dim={dim})" for arg in args]
    a, b = args
    if specs[0].rank == 1:
        return f"({a} * {b}).sum(-1, keepdim=True)"
    return (
        f"{a} @ {b}.transpose(1, 2)" if layer.over == "features" else f"{a}.transpose(1, 2) @ {b}"
    )


ROWS: dict[str, Lowering] = {
    "subtract": Lowering(None, lambda layer, name, args, specs: " - ".join(args)),
    "average": Lowering(
        None, lambda layer, name, args, specs: f"({' + '.join(args)}) / {len(args)}"
    ),
    "maximum": _nested("torch.maximum"),
    "minimum": _nested("torch.minimum"),
    "dot": Lowering(None, _dot),
}
