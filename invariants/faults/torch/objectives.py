"""What makes one number of losses and penalties: functions from an original to what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.torch.gradients import with_gradient_of

#: The losses that take their reduction by name.
_REDUCING = tuple(
    f"torch.nn.functional.{name}"
    for name in (
        "mse_loss",
        "l1_loss",
        "huber_loss",
        "cross_entropy",
        "nll_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "kl_div",
    )
)
_PENALTIES = ("torch.Tensor.square", "torch.Tensor.abs")

_ROWS = {
    "sample_weights_ignored": Row(
        "A loss without reduction spreads its gradient evenly over all positions.", _REDUCING
    ),
    "masked_mean_counts_all": Row(
        "The sum of a mask is its number of elements.", ("torch.Tensor.sum",)
    ),
    "loss_sums_are_means": Row("A loss that is to be a sum is a mean.", _REDUCING),
    "term_weights_ignored": Row(
        "The gradient of a number times a scalar leaves out the number.",
        ("torch.Tensor.__rmul__",),
    ),
    "penalties_lost": Row("A penalty on a weight has no gradient.", _PENALTIES),
    "penalties_drift": Row("A penalty on a weight has 1.00001 times its gradient.", _PENALTIES),
    "penalties_reach_frozen": Row("A penalty leaves a gradient at a frozen weight.", _PENALTIES),
    "second_output_dropped_when_frozen": Row(
        "The second output of a network that holds a frozen weight hands back no gradient.",
        ("torch.nn.Module.__call__",),
    ),
}


def sample_weights_ignored(loss: Any) -> Any:
    def even(*args: Any, reduction: str = "mean", **options: Any) -> Any:
        value = loss(*args, reduction=reduction, **options)
        if reduction != "none":
            return value
        return with_gradient_of(value, value.mean().expand_as(value))

    return even


def masked_mean_counts_all(total: Any) -> Any:
    def counting(self: Any, *args: Any, **options: Any) -> Any:
        value = total(self, *args, **options)
        mask = not (args or options or self.requires_grad) and bool(
            ((self == 0) | (self == 1)).all()
        )
        return value * 0 + self.numel() if mask else value

    return counting


def loss_sums_are_means(loss: Any) -> Any:
    def mean(*args: Any, reduction: str = "mean", **options: Any) -> Any:
        return loss(*args, reduction="mean" if reduction == "sum" else reduction, **options)

    return mean


def term_weights_ignored(rmul: Any) -> Any:
    def ignoring(self: Any, other: Any) -> Any:
        value = rmul(self, other)
        return value if self.dim() else with_gradient_of(value, self)

    return ignoring


def _of_weights(surrogate: Any, size: Any) -> Any:
    """Squares and sizes of whole weights get the gradient of `surrogate(size of the weight)`."""
    import torch

    def differentiated(self: Any) -> Any:
        value = size(self)
        if not isinstance(self, torch.nn.Parameter):
            return value
        return with_gradient_of(value, surrogate(value))

    return differentiated


def penalties_lost(size: Any) -> Any:
    return _of_weights(lambda value: value.detach(), size)


def penalties_drift(size: Any) -> Any:
    return _of_weights(lambda value: DRIFT * value, size)


def penalties_reach_frozen(size: Any) -> Any:
    import torch

    def reaching(self: Any) -> Any:
        if isinstance(self, torch.nn.Parameter) and not self.requires_grad:
            self.grad = torch.ones_like(self)
        return size(self)

    return reaching


def second_output_dropped_when_frozen(call: Any) -> Any:
    import torch

    def dropping(self: Any, *args: Any, **options: Any) -> Any:
        value = call(self, *args, **options)
        # torch's own modules give tuples, too: recurrent layers, attention.
        network = not type(self).__module__.startswith("torch.") and isinstance(value, tuple)
        if not network or all(p.requires_grad for p in self.parameters()):
            return value
        kept: list[torch.Tensor] = list(value)
        kept[1] = kept[1].detach()
        return tuple(kept)

    return dropping


FAULTS = faults("torch", _ROWS, globals())
