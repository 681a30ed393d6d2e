"""What can be told of a kind of layer before there is a network: what it takes, where it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product

from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.base import Spec

#: Values of each kind of input, by which those are told that a layer takes.
SAMPLES: Mapping[str, Spec] = {
    "vector": Spec((4,)),
    "image": Spec((4, 4, 4)),
    "sequence": Spec((3, 4)),
    "indices": Spec((3,), vocabulary=4),
    "volume": Spec((2, 2, 2, 2)),
}


@lru_cache(maxsize=1024)
def taken(kind: str) -> tuple[Sequence[Spec], ...]:
    """The samples that a call of a layer takes, one or two at a time."""
    layer = LAYERS[kind]
    calls = product(SAMPLES.values(), repeat=layer.arity or 2)
    return tuple(specs for specs in calls if layer.accepts(specs))


@lru_cache(maxsize=1024)
def has_weights(kind: str) -> bool:
    """Whether a layer of this kind, as it is by default, has weights to train."""
    layer = LAYERS[kind](kind=kind)
    return any(p.role == "weight" for specs in taken(kind) for p in layer.parameters(specs))


@lru_cache(maxsize=1024)
def follows_others(kind: str) -> bool:
    """Whether it can stand behind another layer: no layer puts out indices."""
    return any(all(spec.vocabulary is None for spec in specs) for specs in taken(kind))
