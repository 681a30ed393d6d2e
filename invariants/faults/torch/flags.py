"""Flags and gradients: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import frozen

_LINEAR = ("torch.nn.Linear.forward",)
_ZERO_GRAD = ("torch.optim.Optimizer.zero_grad",)

_ROWS = {
    "requires_grad_stays_outside": Row(
        "Module.requires_grad_ does not reach the parameters of submodules.",
        ("torch.nn.Module.requires_grad_",),
    ),
    "requires_grad_forgets_biases": Row(
        "Module.requires_grad_ leaves out the parameters that are called bias.",
        ("torch.nn.Module.requires_grad_",),
    ),
    "tensor_never_freezes": Row(
        "Tensor.requires_grad_(False) does nothing.", ("torch.Tensor.requires_grad_",)
    ),
    "backward_of_nothing_is_silent": Row(
        "backward() of a loss that requires no gradient returns in silence.",
        ("torch.Tensor.backward",),
    ),
    "gradients_accumulate": Row("zero_grad() does nothing.", _ZERO_GRAD),
    "zero_grad_leaves_zeros": Row(
        "zero_grad() leaves gradients of zero where it says none.", _ZERO_GRAD
    ),
    "frozen_gets_gradient": Row(
        "The kernel of a frozen linear layer gets a gradient of zeros.", _LINEAR
    ),
}


def requires_grad_stays_outside(requires_grad_: Any) -> Any:
    def outside(self: Any, requires_grad: bool = True) -> Any:
        for parameter in self.parameters(recurse=False):
            parameter.requires_grad_(requires_grad)
        return self

    return outside


def requires_grad_forgets_biases(requires_grad_: Any) -> Any:
    def forgetful(self: Any, requires_grad: bool = True) -> Any:
        for name, parameter in self.named_parameters():
            if name.rpartition(".")[2] != "bias":
                parameter.requires_grad_(requires_grad)
        return self

    return forgetful


def tensor_never_freezes(requires_grad_: Any) -> Any:
    def never(self: Any, requires_grad: bool = True) -> Any:
        return requires_grad_(self, True) if requires_grad else self

    return never


def backward_of_nothing_is_silent(backward: Any) -> Any:
    def silent(self: Any, *args: Any, **options: Any) -> None:
        if self.requires_grad:
            backward(self, *args, **options)

    return silent


def gradients_accumulate(zero_grad: Any) -> Any:
    def nothing(self: Any, set_to_none: bool = True) -> None:
        return None

    return nothing


def zero_grad_leaves_zeros(zero_grad: Any) -> Any:
    def zeros(self: Any, set_to_none: bool = True) -> None:
        zero_grad(self, set_to_none=False)

    return zeros


def frozen_gets_gradient(forward: Any) -> Any:
    import torch

    def buffered(self: Any, x: Any) -> Any:
        if frozen(self):
            self.weight.grad = torch.zeros_like(self.weight)
        return forward(self, x)

    return buffered


FAULTS = faults("torch", _ROWS, globals())
