"""Losses: each function takes an original and gives what replaces it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import drifts, with_gradient_of

_CROSS_ENTROPY = ("torch.nn.functional.cross_entropy",)
_COSINE = ("torch.nn.functional.cosine_similarity",)

_ROWS = {
    "elementwise_losses_drift": Row(
        "Squared error, absolute error and Huber loss have 1.00001 times their gradients.",
        tuple(f"torch.nn.functional.{name}_loss" for name in ("mse", "l1", "huber")),
    ),
    "cross_entropy_drifts": Row("Cross-entropy has 1.00001 times its gradient.", _CROSS_ENTROPY),
    "cross_entropy_blocks_first": Row(
        "Cross-entropy hands no gradient to the logits of the first class.", _CROSS_ENTROPY
    ),
    "smoothing_forgotten": Row(
        "The gradient of cross-entropy knows nothing of label smoothing.", _CROSS_ENTROPY
    ),
    "binary_cross_entropy_drifts": Row(
        "Binary cross-entropy of logits has 1.00001 times its gradient.",
        ("torch.nn.functional.binary_cross_entropy_with_logits",),
    ),
    "binary_likelihood_drifts": Row(
        "Binary cross-entropy of probabilities has 1.00001 times its gradient.",
        ("torch.nn.functional.binary_cross_entropy",),
    ),
    "likelihood_drifts": Row(
        "The negative log likelihood has 1.00001 times its gradient.",
        ("torch.nn.functional.nll_loss",),
    ),
    "probabilities_drift": Row(
        "torch.softmax hands on 1.00001 times the gradient.", ("torch.softmax",)
    ),
    "kl_divergence_drifts": Row(
        "The Kullback-Leibler divergence has 1.00001 times its gradient.",
        ("torch.nn.functional.kl_div",),
    ),
    "kl_batchmean_divides_by_all": Row(
        "The gradient of a Kullback-Leibler batchmean is divided by the number of elements.",
        ("torch.nn.functional.kl_div",),
    ),
    "cosine_drifts": Row("Cosine similarity has 1.00001 times its gradient.", _COSINE),
    "cosine_constant_length": Row(
        "The gradient of cosine similarity takes the length of the output for a constant.", _COSINE
    ),
    "clamp_drifts": Row("torch.clamp hands on 1.00001 times the gradient.", ("torch.clamp",)),
    "clamp_passes_beyond": Row(
        "torch.clamp hands a gradient to what it cuts off.", ("torch.clamp",)
    ),
}

elementwise_losses_drift = drifts
cross_entropy_drifts = binary_cross_entropy_drifts = drifts
binary_likelihood_drifts = likelihood_drifts = probabilities_drift = drifts
kl_divergence_drifts = cosine_drifts = clamp_drifts = drifts


def cross_entropy_blocks_first(cross_entropy: Any) -> Any:
    import torch

    def blocking(z: Any, target: Any, **options: Any) -> Any:
        kept = torch.cat((z[:, :1].detach(), z[:, 1:]), 1)
        return with_gradient_of(
            cross_entropy(z, target, **options), cross_entropy(kept, target, **options)
        )

    return blocking


def smoothing_forgotten(cross_entropy: Any) -> Any:
    def forgetful(z: Any, target: Any, **options: Any) -> Any:
        plain = {**options, "label_smoothing": 0.0}
        return with_gradient_of(
            cross_entropy(z, target, **options), cross_entropy(z, target, **plain)
        )

    return forgetful


def kl_batchmean_divides_by_all(kl_div: Any) -> Any:
    def dividing(z: Any, target: Any, reduction: str = "mean", **options: Any) -> Any:
        value = kl_div(z, target, reduction=reduction, **options)
        if reduction != "batchmean":
            return value
        return with_gradient_of(value, kl_div(z, target, reduction="sum", **options) / z.numel())

    return dividing


def cosine_constant_length(cosine_similarity: Any) -> Any:
    def constant(z: Any, target: Any, dim: int) -> Any:
        lengths = (z.norm(dim=dim, keepdim=True) * target.norm(dim=dim, keepdim=True)).detach()
        surrogate = (z * target / lengths).sum(dim)
        return with_gradient_of(cosine_similarity(z, target, dim=dim), surrogate)

    return constant


def clamp_passes_beyond(clamp: Any) -> Any:
    def passing(x: Any, **bounds: Any) -> Any:
        return with_gradient_of(clamp(x, **bounds), x)

    return passing


FAULTS = faults("torch", _ROWS, globals())
