"""Masks of gradients: which elements of a weight one holds, and what is left of a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from invariants.oracle.primitives import Array

if TYPE_CHECKING:
    from invariants.course import Moment
    from invariants.oracle.stepping import Layout


def held_part(weight: Array, layout: Layout | None) -> np.ndarray:
    """Where a mask holds a weight: every second element, the first one among them.

    weight: of the canonical shape, as is the result. layout: how the framework lays it out, where
    that is otherwise; elements are counted there, as a script has them.
    """
    native = layout.to_native(weight) if layout else weight
    every_second = (np.arange(native.size) % 2 == 0).reshape(native.shape)
    return layout.to_canonical(every_second) if layout else every_second


def held_parts(
    weights: Mapping[str, Array], layouts: Mapping[str, Layout], moment: Moment
) -> dict[str, np.ndarray]:
    """The weights that a mask holds a part of, and which part that is."""
    return {
        name: held_part(weights[name], layouts.get(name))
        for name in moment.receiving
        if name in moment.partial
    }


def masked(gradients: Mapping[str, Array], held: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """The gradients in samples, by weight, with 0 where `held` is True; 0 times infinity is NaN."""
    return {name: g * ~held[name] if name in held else g for name, g in gradients.items()}


def kept(before: Array, after: Array, held: np.ndarray) -> Array:
    """A weight after a step, in samples, with the very value from before where `held` says so.

    There the gradient is exactly 0, and where no decay and no slot moves the element either, there
    is nothing to round. Elements that the step does move are left as they are.
    """
    stays = held & (before[0] == after[0])
    return np.where(stays, before, after)
