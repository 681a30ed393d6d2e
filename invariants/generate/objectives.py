"""Random objectives: which losses, on which outputs, weighted and reduced how; penalties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from invariants.architecture.graph import Architecture
from invariants.architecture.layers.base import Spec
from invariants.generate.choice import Drawn
from invariants.objective import LossName, Penalty, Term
from invariants.oracle.losses import LOSSES

#: Distributions are multiples of one part in so many, which every dtype holds.
_PARTS = 16

#: The simplest first, likelier ones more often.
_LOSSES: tuple[LossName, ...] = (
    *("mse",) * 6,
    *("cross_entropy",) * 6,
    *("mae", "huber", "smoothed_cross_entropy", "binary_cross_entropy") * 2,
    *("dense_cross_entropy", "likelihood", "dense_likelihood", "binary_likelihood"),
    *("kl_divergence", "kl_divergence", "cosine", "hinge", "squared_hinge"),
)


def draw_losses(choice: Drawn, first: str = "", *, several: bool = False) -> tuple[LossName, ...]:
    """A loss for each output of a network, one output more often than not.

    first: that of the first output; "" for any. several: there is more than one.
    """
    count = choice.one_of((1,) * 12 * (not several) + (2, 2, 3))
    losses = [choice.one_of(_LOSSES) for _ in range(count)]
    known: list[LossName] = [loss for loss in _LOSSES if loss == first]
    return (*known[:1], *losses[bool(known) :])


def draw_terms(
    choice: Drawn, losses: tuple[LossName, ...], *, leaves_out: bool = False
) -> tuple[Term, ...]:
    """A term for each output, at times none for one: a head that the objective leaves out."""
    terms = [_term(choice, loss, output) for output, loss in enumerate(losses)]
    if len(terms) > 1:
        terms = [replace(t, weight=choice.one_of((1.0, 0.5, 0.25, 2.0))) for t in terms]
        if choice.chance(3) or leaves_out:
            terms.pop(choice.integer(0, len(terms) - 1))
    return tuple(terms)


def _term(choice: Drawn, loss: LossName, output: int) -> Term:
    term = Term(loss=loss, output=output)
    if loss == "huber":
        term = replace(term, delta=choice.one_of((1.0, 0.5, 2.0)))
    if loss == "smoothed_cross_entropy":
        term = replace(term, smoothing=choice.one_of((0.125, 0.25, 0.1)))
    if choice.chance(4):
        term = replace(term, reduction=choice.one_of(("sum", "by_hand")))
    if loss in choice.offered("batchmean_losses") and choice.chance(3):
        return replace(term, reduction="batchmean")
    if choice.chance(5):
        term = replace(term, weighting="samples")
    elif choice.chance(6):
        term = replace(term, weighting="mask")
    return term


#: The groups of weights that have penalties, each as often as it is drawn.
_PENALISED = (("kernel",), ("kernel",), ("kernel", "bias", "norm"), ("bias", "norm"))


def draw_penalties(
    choice: Drawn, architecture: Architecture, *, certain: bool = False
) -> dict[str, Penalty]:
    """Penalties on a few weights, in one case of eight: on kernels, more often than not alone."""
    if not choice.chance(8) and not certain:
        return {}
    groups = choice.one_of(_PENALISED)
    weights = [w for w in architecture.weights if architecture.parameters[w].group in groups]
    if not weights:
        return {}
    factor = choice.one_of((0.0625, 0.25, 0.01))
    penalty = Penalty(kind=choice.one_of(("l2", "l2", "l1", "l1_l2")), factor=factor)
    held = [name for name in weights if choice.boolean()] or weights[-1:]
    return dict.fromkeys(held, penalty)


def draw_target(
    rng: np.random.Generator, term: Term, spec: Spec, size: int, numbers: np.ndarray
) -> np.ndarray:
    """A target for one term; numbers: (size, *spec.shape), what real targets are."""
    kind, shape = LOSSES[term.loss].target, (size, *spec.shape)
    if kind == "classes":
        return rng.integers(0, shape[-1], size=shape[:-1])
    if kind == "binary":
        return rng.integers(0, 2, size=shape)
    if kind == "signs":
        return 2 * rng.integers(0, 2, size=shape) - 1
    if kind == "distribution":
        return rng.multinomial(_PARTS, np.full(shape[-1], 1 / shape[-1]), size=shape[:-1]) / _PARTS
    if kind == "nonzero":
        numbers = numbers.copy()
        numbers[..., 0] += np.where((numbers == 0.0).all(axis=-1), 1.0, 0.0)
    return numbers


def draw_sample_weights(
    rng: np.random.Generator, term: Term, spec: Spec, size: int
) -> np.ndarray | None:
    """A weight for each position, in fourths, or a mask; None where the term has neither."""
    if term.weighting == "none":
        return None
    shape = (size, *spec.shape[:-1])
    weights = rng.integers(0, 2 if term.weighting == "mask" else 9, size=shape)
    if not weights.any():
        weights.reshape(-1)[0] = 1
    return weights if term.weighting == "mask" else weights / 4.0
