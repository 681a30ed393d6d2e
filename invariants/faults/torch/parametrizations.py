"""Weight norm and spectral norm: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import with_gradient_of

_ROWS = {
    "weight_norm_constant_length": Row(
        "The backward pass of weight norm takes the length of the direction for a constant.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
    "spectral_norm_constant_sigma": Row(
        "The backward pass of spectral norm takes the singular value for a constant.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
    "spectral_norm_drifts": Row(
        "The kernel under spectral norm gets 1.00001 times its gradient.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
    "weight_norm_drifts": Row(
        "The kernel under weight norm gets 1.00001 times its gradient.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
}


def weight_norm_constant_length(forward: Any) -> Any:
    def constant(self: Any) -> Any:
        weight = forward(self)
        if not hasattr(self, "original1"):
            return weight
        length = self.original1.flatten(1).norm(dim=1).reshape(self.original0.shape).detach()
        return with_gradient_of(weight, self.original1 * (self.original0 / length))

    return constant


def _of_spectral_norm(surrogate: Any, forward: Any) -> Any:
    """A parametrization with one original: the gradient of surrogate(original, weight)."""

    def differentiated(self: Any) -> Any:
        weight = forward(self)
        if not hasattr(self, "original"):
            return weight
        return with_gradient_of(weight, surrogate(self.original, weight))

    return differentiated


def _over_constant(original: Any, weight: Any) -> Any:
    constant = weight.detach()
    return original * (constant.square().sum() / (constant * original.detach()).sum())


spectral_norm_constant_sigma = partial(_of_spectral_norm, _over_constant)
spectral_norm_drifts = partial(_of_spectral_norm, lambda original, weight: DRIFT * weight)


def weight_norm_drifts(forward: Any) -> Any:
    def drifting(self: Any) -> Any:
        weight = forward(self)
        return with_gradient_of(weight, DRIFT * weight) if hasattr(self, "original1") else weight

    return drifting


FAULTS = faults("torch", _ROWS, globals())
