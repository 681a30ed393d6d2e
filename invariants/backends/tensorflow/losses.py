"""The rows of the losses: how Keras computes each, from logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from invariants.architecture.layers.base import Spec
from invariants.backends.source import arguments
from invariants.objective import Term


@dataclass(frozen=True)
class Row:
    """A loss of Keras: its class and options, and what it is given for the output and the target.

    prediction: from the output {z}. target: from the target {y}, with {classes} classes.
    """

    name: str
    options: Callable[[Term], dict[str, object]] = lambda term: {}
    prediction: str = "{z}"
    target: str = "{y}"


def _logits(term: Term) -> dict[str, object]:
    return {"from_logits": True}


# keras.ops.softmax leaves its logits on what it puts out (_keras_logits), and the losses then take
# those: as if from_logits were set. Probabilities that come from elsewhere are what these rows are
# about.
_SOFTMAX = "tf.nn.softmax({z})"

ROWS: dict[str, Row] = {
    "mse": Row("MeanSquaredError"),
    "mae": Row("MeanAbsoluteError"),
    "huber": Row("Huber", lambda term: {} if term.delta == 1.0 else {"delta": term.delta}),
    "cross_entropy": Row("SparseCategoricalCrossentropy", _logits),
    # Keras smooths dense targets alone.
    "smoothed_cross_entropy": Row(
        "CategoricalCrossentropy",
        lambda term: {"from_logits": True, "label_smoothing": term.smoothing},
        target="keras.ops.one_hot({y}, {classes})",
    ),
    "dense_cross_entropy": Row("CategoricalCrossentropy", _logits),
    "likelihood": Row("SparseCategoricalCrossentropy", prediction=_SOFTMAX),
    "dense_likelihood": Row("CategoricalCrossentropy", prediction=_SOFTMAX),
    "binary_cross_entropy": Row("BinaryCrossentropy", _logits),
    "binary_likelihood": Row("BinaryCrossentropy", prediction="tf.math.sigmoid({z})"),
    "kl_divergence": Row("KLDivergence", prediction=_SOFTMAX),
    "cosine": Row("CosineSimilarity"),
    "hinge": Row("Hinge"),
    "squared_hinge": Row("SquaredHinge"),
}


def made(term: Term) -> str:
    """The expression that makes the loss of a term."""
    row = ROWS[term.loss]
    options = dict[str, object](row.options(term))
    if term.reduction == "sum":
        options["reduction"] = "sum"
    elif term.reduction == "by_hand":
        options["reduction"] = None
    elif term.weighting == "mask":
        options["reduction"] = "mean_with_sample_weight"
    return f"keras.losses.{row.name}({arguments(**options)})"


def target(term: Term, spec: Spec, y: str) -> str:
    """The expression of a target as the loss takes it."""
    return ROWS[term.loss].target.format(y=y, classes=spec.shape[-1])


def of_probabilities(term: Term) -> bool:
    """Whether the script makes probabilities of the output that the loss is given."""
    return ROWS[term.loss].prediction != "{z}"


def value(term: Term, spec: Spec, name: str, z: str, y: str, w: str) -> str:
    """The expression of one term: loss `name`, output, target and weights by their names."""
    row = ROWS[term.loss]
    given = [target(term, spec, y), row.prediction.format(z=z)]
    if term.weighting != "none":
        given.append(f"sample_weight={w}")
    values = f"{name}({', '.join(given)})"
    if term.reduction != "by_hand":
        return values
    if term.weighting == "mask":
        return f"tf.reduce_sum({values}) / tf.reduce_sum({w})"
    return f"tf.reduce_mean({values})"
