"""LoRA, as Keras's own layers have it."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import DRIFT, Row, faults
from invariants.faults.tensorflow.gradients import with_gradient_of
from invariants.generate.cases import Wanted

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")

_ADAPTED = ("Dense", "Embedding", *_CONVOLUTIONS)


def _each(names: tuple[str, ...], attribute: str) -> tuple[str, ...]:
    return tuple(f"keras.layers.{name}.{attribute}" for name in names)


_ROWS = {
    "lora_drifts": Row(
        "What a weight and its LoRA add up to gets 1.00001 times its gradient.",
        (*_each(("Dense", *_CONVOLUTIONS), "kernel"), *_each(("Embedding",), "embeddings")),
        Wanted(layer="dense_with_lora"),
    ),
    "lora_leaves_the_weight_trainable": Row(
        "enable_lora leaves the weight trainable that it adapts.",
        _each(_ADAPTED, "enable_lora"),
        Wanted(layer="dense_with_lora"),
    ),
    "lora_ignores_alpha": Row(
        "enable_lora of a convolution sets lora_alpha to the rank.",
        _each(_CONVOLUTIONS, "enable_lora"),
        Wanted(layer="conv2d_with_lora"),
    ),
    "lora_is_loaded_twice": Row(
        "Loading leaves the factors that a file holds merged already.",
        _each(_ADAPTED, "load_own_variables"),
        Wanted(layer="dense_with_lora"),
    ),
}


def lora_drifts(weight: Any) -> Any:
    def drifting(self: Any) -> Any:
        whole = weight.fget(self)
        return with_gradient_of(whole, DRIFT * whole) if self.lora_enabled else whole

    return property(drifting)


def _adapted(layer: Any) -> Any:
    return layer._kernel if hasattr(layer, "_kernel") else layer._embeddings


def lora_leaves_the_weight_trainable(enable_lora: Any) -> Any:
    def leaving(self: Any, *args: Any, **options: Any) -> None:
        enable_lora(self, *args, **options)
        _adapted(self).trainable = True

    return leaving


def lora_ignores_alpha(enable_lora: Any) -> Any:
    def ignoring(self: Any, rank: int, lora_alpha: Any = None, **options: Any) -> None:
        enable_lora(self, rank, rank, **options)

    return ignoring


def lora_is_loaded_twice(load_own_variables: Any) -> Any:
    def loading(self: Any, store: Any) -> None:
        factors = [weight for weight in self.weights if "lora" in weight.name]
        before = [factor.numpy() for factor in factors]
        load_own_variables(self, store)
        for factor, numbers in zip(factors, before, strict=True):
            factor.assign(numbers)

    return loading


FAULTS = faults("tensorflow", _ROWS, globals())
