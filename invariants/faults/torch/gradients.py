"""Values whose gradient is not their own, the tool of most faults."""

from __future__ import annotations

from functools import cache
from typing import Any

from invariants.faults.fault import DRIFT


@cache
def _substitution() -> Any:
    import torch

    class Substitution(torch.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(value: Any, surrogate: Any) -> Any:
            return value.clone()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def jvp(ctx: Any, value: Any, surrogate: Any) -> Any:
            return surrogate.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return None, upstream

    return Substitution


def with_gradient_of(value: Any, surrogate: Any) -> Any:
    """`value` to the bit, differentiated as if it were `surrogate`."""
    return _substitution().apply(value.detach(), surrogate)


def frozen(layer: Any) -> bool:
    return layer.weight is not None and not layer.weight.requires_grad


def frozen_blocks(forward: Any) -> Any:
    def blocking(self: Any, x: Any) -> Any:
        return forward(self, x.detach() if frozen(self) else x)

    return blocking


def frozen_scales(factor: float, forward: Any) -> Any:
    def scaling(self: Any, x: Any) -> Any:
        return forward(self, with_gradient_of(x, factor * x) if frozen(self) else x)

    return scaling


def drifts(function: Any) -> Any:
    """What a function gives gets DRIFT times its gradient."""

    def drifting(*args: Any, **options: Any) -> Any:
        value = function(*args, **options)
        return with_gradient_of(value, DRIFT * value)

    return drifting
