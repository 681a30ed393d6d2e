"""Losses: each function takes an original and gives what replaces it."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import drifts, with_gradient_of


def _calls(*names: str) -> tuple[str, ...]:
    return tuple(f"keras.losses.{name}.call" for name in names)


_CROSS_ENTROPY = _calls("SparseCategoricalCrossentropy", "CategoricalCrossentropy")
_BINARY = _calls("BinaryCrossentropy")
_COSINE = _calls("CosineSimilarity")

_ROWS = {
    "elementwise_losses_drift": Row(
        "Squared error, absolute error and Huber loss have 1.00001 times their gradients.",
        _calls("MeanSquaredError", "MeanAbsoluteError", "Huber"),
    ),
    "cross_entropy_drifts": Row(
        "Cross-entropy of logits has 1.00001 times its gradient.", _CROSS_ENTROPY
    ),
    "cross_entropy_blocks_first": Row(
        "Cross-entropy hands no gradient to the first class.", _CROSS_ENTROPY
    ),
    "smoothing_forgotten": Row(
        "The gradient of cross-entropy knows nothing of label smoothing.",
        _calls("CategoricalCrossentropy"),
    ),
    "likelihood_drifts": Row(
        "Cross-entropy of probabilities has 1.00001 times its gradient.", _CROSS_ENTROPY
    ),
    "binary_cross_entropy_drifts": Row(
        "Binary cross-entropy of logits has 1.00001 times its gradient.", _BINARY
    ),
    "binary_likelihood_drifts": Row(
        "Binary cross-entropy of probabilities has 1.00001 times its gradient.", _BINARY
    ),
    "kl_divergence_drifts": Row(
        "The Kullback-Leibler divergence has 1.00001 times its gradient.", _calls("KLDivergence")
    ),
    "cosine_drifts": Row("Cosine similarity has 1.00001 times its gradient.", _COSINE),
    "cosine_constant_length": Row(
        "The gradient of cosine similarity takes the length of the output for a constant.", _COSINE
    ),
    "hinge_drifts": Row(
        "Hinge loss and squared hinge loss have 1.00001 times their gradients.",
        _calls("Hinge", "SquaredHinge"),
    ),
    "hinge_passes_beyond": Row(
        "Hinge loss hands a gradient to what lies beyond its margin.", _calls("Hinge")
    ),
}

elementwise_losses_drift = kl_divergence_drifts = cosine_drifts = hinge_drifts = drifts


def _drifts_for(from_logits: bool, call: Any) -> Any:
    """Cross-entropies drift that take logits, or those that take probabilities."""

    def drifting(self: Any, y_true: Any, y_pred: Any) -> Any:
        value = call(self, y_true, y_pred)
        chosen = self.from_logits == from_logits
        return with_gradient_of(value, DRIFT * value) if chosen else value

    return drifting


cross_entropy_drifts = binary_cross_entropy_drifts = partial(_drifts_for, True)
likelihood_drifts = binary_likelihood_drifts = partial(_drifts_for, False)


def cross_entropy_blocks_first(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, y_true: Any, y_pred: Any) -> Any:
        first = tf.stop_gradient(y_pred[..., :1])
        return call(self, y_true, tf.concat([first, y_pred[..., 1:]], -1))

    return blocking


def smoothing_forgotten(call: Any) -> Any:
    import keras

    def forgetful(self: Any, y_true: Any, y_pred: Any) -> Any:
        value = call(self, y_true, y_pred)
        if not self.label_smoothing:
            return value
        plain = keras.losses.categorical_crossentropy(y_true, y_pred, self.from_logits)
        return with_gradient_of(value, plain)

    return forgetful


def cosine_constant_length(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, y_true: Any, y_pred: Any) -> Any:
        lengths = tf.norm(y_true, axis=-1) * tf.stop_gradient(tf.norm(y_pred, axis=-1))
        surrogate = -tf.reduce_sum(y_true * y_pred, -1) / lengths
        return with_gradient_of(call(self, y_true, y_pred), surrogate)

    return constant


def hinge_passes_beyond(call: Any) -> Any:
    import tensorflow as tf

    def passing(self: Any, y_true: Any, y_pred: Any) -> Any:
        surrogate = tf.reduce_mean(1.0 - y_true * y_pred, -1)
        return with_gradient_of(call(self, y_true, y_pred), surrogate)

    return passing


FAULTS = faults("tensorflow", _ROWS, globals())
