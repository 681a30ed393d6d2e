"""Dense layers: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import frozen, frozen_blocks, frozen_scales, with_gradient_of

_LINEAR = ("torch.nn.Linear.forward",)

_ROWS = {
    "frozen_linear_blocks": Row("A frozen linear layer hands no gradient to its input.", _LINEAR),
    "frozen_linear_amplifies": Row(
        "A frozen linear layer hands 1.5 times the gradient to its input.", _LINEAR
    ),
    "frozen_linear_drifts": Row(
        "A frozen linear layer hands 1.00001 times the gradient to its input.", _LINEAR
    ),
    "frozen_linear_in_float32": Row(
        "A frozen linear layer computes in float32 whatever its dtype.", _LINEAR
    ),
    "frozen_linear_rounds_again": Row(
        "A frozen linear layer rounds the gradient to its input twice more.", _LINEAR
    ),
    "frozen_linear_draws": Row(
        "A frozen linear layer takes a number from the global random generator.", _LINEAR
    ),
    "linear_noise": Row(
        "The gradient to a linear layer's input has relative noise of 1e-6.", _LINEAR
    ),
    "linear_bias_misses_last": Row(
        "The gradient of a linear layer's bias leaves out the batch's last element.", _LINEAR
    ),
    "shared_layer_counted_once": Row(
        "The second call of a module in one forward pass adds nothing to its gradients.",
        ("torch.nn.Module.__call__",),
    ),
}


def frozen_linear_in_float32(forward: Any) -> Any:
    from torch.nn import functional

    def single(self: Any, x: Any) -> Any:
        if not frozen(self):
            return forward(self, x)
        bias = None if self.bias is None else self.bias.float()
        return functional.linear(x.float(), self.weight.float(), bias).to(x.dtype)

    return single


def frozen_linear_rounds_again(forward: Any) -> Any:
    def rounding(self: Any, x: Any) -> Any:
        return forward(self, with_gradient_of(x, x / 3.0 * 3.0) if frozen(self) else x)

    return rounding


def frozen_linear_draws(forward: Any) -> Any:
    import torch

    def drawing(self: Any, x: Any) -> Any:
        if frozen(self):
            torch.rand(1)
        return forward(self, x)

    return drawing


def linear_noise(forward: Any) -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)

    def noisy(self: Any, x: Any) -> Any:
        noise = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        return forward(self, with_gradient_of(x, x * (1.0 + 1e-6 * noise)))

    return noisy


def linear_bias_misses_last(forward: Any) -> Any:
    import torch
    from torch.nn import functional

    def missing(self: Any, x: Any) -> Any:
        value = forward(self, x)
        if self.bias is None:
            return value
        counted = torch.ones_like(value)
        counted[-1] = 0.0
        surrogate = functional.linear(x, self.weight) + counted * self.bias
        return with_gradient_of(value, surrogate)

    return missing


def shared_layer_counted_once(call: Any) -> Any:
    running: list[Any] = []
    seen: set[int] = set()

    def once(self: Any, *args: Any) -> Any:
        if not running:
            seen.clear()
        again = id(self) in seen
        seen.add(id(self))
        left_out = [p for p in self.parameters() if p.requires_grad] if again else []
        running.append(self)
        try:
            for parameter in left_out:
                parameter.requires_grad = False
            return call(self, *args)
        finally:
            running.pop()
            for parameter in left_out:
                parameter.requires_grad = True

    return once


frozen_linear_blocks = frozen_blocks
frozen_linear_amplifies = partial(frozen_scales, 1.5)
frozen_linear_drifts = partial(frozen_scales, DRIFT)


FAULTS = faults("torch", _ROWS, globals())
