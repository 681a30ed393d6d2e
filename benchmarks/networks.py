"""A chain as a function of the weights that it trains, as other checkers take one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.case import Case


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
        now, value = {**held, **dict(zip(trained, weights, strict=True))}, x
        for placed in case.architecture.layers:
            if placed.layer.kind == "dense":
                value = value @ now[f"{placed.path}.kernel"] + now[f"{placed.path}.bias"]
            else:
                value = getattr(torch, placed.layer.kind)(value)
        return (value - y).square().mean()

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
        now, value = {**held, **dict(zip(trained, weights, strict=True))}, x
        for placed in case.architecture.layers:
            if placed.layer.kind == "dense":
                value = value @ now[f"{placed.path}.kernel"] + now[f"{placed.path}.bias"]
            else:
                value = getattr(tf.nn, placed.layer.kind)(value)
        return tf.reduce_mean(tf.square(value - y))

    return loss, trained
