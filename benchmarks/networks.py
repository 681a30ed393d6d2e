"""A chain as a function of the weights that it trains, as other checkers take one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from invariants.case import Case


def _output(case: Case, weights: Mapping[str, Any], value: Any, activations: Any) -> Any:
    """What a chain makes of a value; activations: the module that has them, by the kinds' names."""
    for placed in case.architecture.layers:
        if placed.layer.kind == "dense":
            value = value @ weights[f"{placed.path}.kernel"] + weights[f"{placed.path}.bias"]
        else:
            value = getattr(activations, placed.layer.kind)(value)
    return value


def as_torch(case: Case) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The loss of a chain as a function of its trained weights in their order, and these."""
    import torch

    dtype = getattr(torch, case.dtype)

    def tensor(array: Any) -> Any:
        return torch.tensor(array, dtype=dtype)

    held = {name: tensor(array) for name, array in case.weights.items()}
    trainable = case.flags("torch")[-1].trainable
    trained = {name: held[name].requires_grad_() for name in trainable}
    x, y = tensor(case.batches[0].inputs[0]), tensor(case.batches[0].targets[0])

    def loss(*weights: Any) -> Any:
        now = {**held, **dict(zip(trained, weights, strict=True))}
        return (_output(case, now, x, torch) - y).square().mean()

    return loss, trained


def disturbed(
    loss: Callable[..., Any], number: int, place: tuple[int, ...], share: float
) -> Callable[..., Any]:
    """`loss` with one element of the gradient by one argument (1 + share) times what it is."""

    def moved(gradient: Any) -> Any:
        if gradient is None:  # of an undefined one, which gradcheck tries as well
            return None
        after = gradient.clone()
        after[place] *= 1.0 + share
        return after

    def wrong(*weights: Any) -> Any:
        given = list(weights)
        if given[number].requires_grad:
            given[number] = given[number].clone()
            given[number].register_hook(moved)
        return loss(*given)

    return wrong


def as_tensorflow(case: Case) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The same for TensorFlow."""
    import tensorflow as tf

    held = {n: tf.constant(array, dtype=case.dtype) for n, array in case.weights.items()}
    trained = {name: held[name] for name in case.flags("tensorflow")[-1].trainable}
    batch = case.batches[0]
    x, y = (tf.constant(a, dtype=case.dtype) for a in (batch.inputs[0], batch.targets[0]))

    def loss(*weights: Any) -> Any:
        now = {**held, **dict(zip(trained, weights, strict=True))}
        return tf.reduce_mean(tf.square(_output(case, now, x, tf.nn) - y))

    return loss, trained
