"""The rows of the losses: how torch computes each, from logits in torch's layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from invariants.architecture.layers.base import Spec
from invariants.backends.source import arguments
from invariants.backends.torch.rows.common import channel_axis
from invariants.objective import Term
from invariants.oracle.losses import LOSSES


@dataclass(frozen=True)
class Row:
    """A loss as a module, or as an expression of the output `z` and the target `y`.

    module: the module and its options. values: from z, y and the axis of the classes to the values.
    prediction: what the module is given instead of z. positions_last: the module wants the classes
    on axis 1. summed: the module gives elements, whose sum over the classes is the loss.
    """

    module: str = ""
    options: Callable[[Term], dict[str, float]] = lambda term: {}
    values: Callable[[str, str, int], str] | None = None
    prediction: str = "{z}"
    classes_first: bool = False
    summed: bool = False


ROWS: dict[str, Row] = {
    "mse": Row("nn.MSELoss"),
    "mae": Row("nn.L1Loss"),
    "huber": Row("nn.HuberLoss", lambda term: {} if term.delta == 1.0 else {"delta": term.delta}),
    "cross_entropy": Row("nn.CrossEntropyLoss", classes_first=True),
    "smoothed_cross_entropy": Row(
        "nn.CrossEntropyLoss",
        lambda term: {"label_smoothing": term.smoothing},
        classes_first=True,
    ),
    "dense_cross_entropy": Row("nn.CrossEntropyLoss", classes_first=True),
    "likelihood": Row(
        "nn.NLLLoss", prediction="torch.softmax({z}, {axis}).log()", classes_first=True
    ),
    "dense_likelihood": Row(
        values=lambda z, y, axis: f"-(torch.softmax({z}, {axis}).log() * {y}).sum({axis})"
    ),
    "binary_cross_entropy": Row("nn.BCEWithLogitsLoss"),
    "binary_likelihood": Row("nn.BCELoss", prediction="torch.sigmoid({z})"),
    "kl_divergence": Row("nn.KLDivLoss", prediction="torch.log_softmax({z}, {axis})", summed=True),
    "cosine": Row(values=lambda z, y, axis: f"1 - F.cosine_similarity({z}, {y}, dim={axis})"),
    "hinge": Row(values=lambda z, y, axis: f"torch.clamp(1 - {y} * {z}, min=0)"),
    "squared_hinge": Row(values=lambda z, y, axis: f"torch.clamp(1 - {y} * {z}, min=0).square()"),
}


def _module_reduces(term: Term, spec: Spec) -> bool:
    """Whether the module itself can make one number of its values."""
    row = ROWS[term.loss]
    if not row.module or term.weighting != "none" or term.reduction == "by_hand":
        return False
    return not row.summed or term.reduction in ("sum", "batchmean") or spec.rank == 1


def made(term: Term, spec: Spec) -> str:
    """The expression that makes the module of a term; "" where it has none."""
    row = ROWS[term.loss]
    if not row.module:
        return ""
    options = dict[str, object](row.options(term))
    if not _module_reduces(term, spec):
        options["reduction"] = "none"
    elif term.reduction == "sum":
        options["reduction"] = "sum"
    elif row.summed:
        options["reduction"] = "batchmean"
    return f"{row.module}({arguments(**options)})"


def value(term: Term, spec: Spec, name: str, z: str, y: str, w: str) -> str:
    """The expression of one term: module `name`, output, target and weights by their names."""
    values = _values(term, spec, name, z, y, w)
    return f"{values} / {w}.sum()" if averages_what_is_masked(term) else values


def value_of_a_sample(term: Term, spec: Spec, name: str, z: str, y: str, w: str) -> str:
    """The expression of what one sample, as a batch of its own, adds to a term.

    `share` is 1 / N then, and a mask has been divided by how many values it leaves in the batch.
    """
    values = _values(term, spec, name, z, y, w)
    averaged = term.reduction != "sum" and not averages_what_is_masked(term)
    return f"share * {values}" if averaged else values


def averages_what_is_masked(term: Term) -> bool:
    """Whether a term is divided by how many values its mask leaves."""
    return term.weighting == "mask" and term.reduction != "sum"


def _values(term: Term, spec: Spec, name: str, z: str, y: str, w: str) -> str:
    """The expression of a term, but for the division by what a mask leaves."""
    row = ROWS[term.loss]
    axis = 1 if row.classes_first else channel_axis(spec.rank)
    if row.classes_first and channel_axis(spec.rank) != 1 and spec.rank > 1:
        z = f"{z}.movedim(-1, 1)"
        y = f"{y}.movedim(-1, 1)" if LOSSES[term.loss].target == "distribution" else y
    if row.values is not None:
        values = row.values(z, y, axis)
    else:
        values = f"{name}({row.prediction.format(z=z, axis=axis)}, {y})"
    if _module_reduces(term, spec):
        return values
    values = f"({values})" if row.values is not None else values
    if row.summed:
        values += f".sum({axis})"
    reduction = "sum" if term.reduction == "sum" else "mean"
    if term.weighting == "none":
        return f"{values}.{reduction}()"
    if LOSSES[term.loss].elementwise:
        values += f".mean({axis})"
    if averages_what_is_masked(term):
        return f"({values} * {w}).sum()"
    return f"({values} * {w}).{reduction}()"
