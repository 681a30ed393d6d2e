"""What a program minimises: weighted losses of the network's outputs, and penalties on weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from invariants.document import Document

LossName = Literal[
    "mse",
    "mae",
    "huber",
    "cross_entropy",
    "smoothed_cross_entropy",
    "dense_cross_entropy",
    "likelihood",
    "dense_likelihood",
    "binary_cross_entropy",
    "binary_likelihood",
    "kl_divergence",
    "cosine",
    "hinge",
    "squared_hinge",
]

Factor = Annotated[float, Field(gt=0.0, le=1e3, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Term(Document):
    """One summand of the objective: `weight` times the loss of one output against its target.

    A loss has one value for each position of the output, that is for each index of all axes but the
    last. `weighting`: "none", "samples" (each value times its weight, all counted) or "mask" (the
    values where the mask is 1, which alone are counted). `reduction`: "mean", "sum", "by_hand", the
    mean of what a loss without a reduction gives, or "batchmean", the sum divided by the number of
    samples, which only some losses of some frameworks have, and none with weights. `delta` is that
    of the Huber loss, where its parabola ends; `smoothing` how much of the target label smoothing
    spreads over all classes.
    """

    loss: LossName = "mse"
    output: Annotated[int, Field(ge=0)] = 0
    weight: Factor = 1.0
    reduction: Literal["mean", "sum", "by_hand", "batchmean"] = "mean"
    weighting: Literal["none", "samples", "mask"] = "none"
    delta: Factor = 1.0
    smoothing: Annotated[float, Field(gt=0.0, lt=1.0, allow_inf_nan=False)] = 0.125


@dataclass(frozen=True, kw_only=True)
class Penalty(Document):
    """`factor` times Σ|w| ("l1") or Σw² ("l2") of one weight; "l1_l2": and `second` times Σw²."""

    kind: Literal["l1", "l2", "l1_l2"] = "l2"
    factor: Factor = 0.0625
    second: Factor = 0.0625

    @property
    def parts(self) -> tuple[tuple[str, float], ...]:
        """What it adds up, "l1" or "l2" with its factor."""
        if self.kind == "l1_l2":
            return (("l1", self.factor), ("l2", self.second))
        return ((self.kind, self.factor),)
