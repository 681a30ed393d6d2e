"""Partial freezing: hooks on gradients, and what a step does where a gradient is 0."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults

_ROWS = {
    "hook_is_ignored": Row(
        "What a hook gives is not used in place of the gradient.", ("torch.Tensor.register_hook",)
    ),
    "hook_comes_late": Row(
        "A hook is called from the second gradient on.", ("torch.Tensor.register_hook",)
    ),
    "hook_stays": Row(
        "A hook that is removed goes on changing the gradient.",
        ("torch.utils.hooks.RemovableHandle.remove",),
    ),
    "zero_elements_drift": Row(
        "A step of SGD adds a ten-thousandth to elements whose gradient is 0.",
        ("torch.optim.SGD.step",),
    ),
}


def hook_is_ignored(register_hook: Any) -> Any:
    def ignoring(self: Any, hook: Any) -> Any:
        def called(gradient: Any) -> None:
            hook(gradient)

        return register_hook(self, called)

    return ignoring


def hook_comes_late(register_hook: Any) -> Any:
    def late(self: Any, hook: Any) -> Any:
        met: list[bool] = []

        def called(gradient: Any) -> Any:
            met.append(True)
            return hook(gradient) if len(met) > 1 else None

        return register_hook(self, called)

    return late


def hook_stays(remove: Any) -> Any:
    def staying(self: Any) -> None:
        return None

    return staying


def zero_elements_drift(step: Any) -> Any:
    import torch

    def drifting(self: Any, closure: Any = None) -> Any:
        loss = step(self, closure)
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None and parameter.grad.any():
                        parameter.add_(1e-4 * (parameter.grad == 0.0))
        return loss

    return drifting


FAULTS = faults("torch", _ROWS, globals())
