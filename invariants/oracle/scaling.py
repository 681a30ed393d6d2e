"""The scale of a loss, by which adjoints are larger on their way back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from invariants.oracle.expectation import ExpectedPoint
from invariants.oracle.primitives import Array

#: initial_scale of keras.optimizers.LossScaleOptimizer, documented to default to 32768.
_DEFAULT = 2.0**15

ScaleOfNew = Literal["set", "default", "loaded"]


class LossScale:
    """A power of two; one that is dynamic grows with steps that are made, and halves otherwise.

    growth: after how many steps it doubles; 0 where it stays.
    """

    def __init__(self, traits: Mapping[str, str]) -> None:
        self.first = float(traits.get("scale", "1.0"))
        self.growth = int(traits.get("growth", "0"))
        self.begin()

    def begin(self, scale: ScaleOfNew = "set") -> None:
        """With a new optimizer, whose scale was set, is that of all new ones, or was loaded."""
        if scale != "loaded":
            self.factor = _DEFAULT if scale == "default" and self.growth else self.first
            self.made = 0

    def after_step(self, skipped: bool) -> None:
        """After a step, or after one that was skipped for a gradient that is not finite."""
        if not self.growth:
            return
        if skipped:
            self.factor, self.made = self.factor / 2.0, 0
            return
        self.made += 1
        if self.made == self.growth:
            self.factor, self.made = self.factor * 2.0, 0


def if_not_skipped(point: ExpectedPoint, warning: str | None) -> ExpectedPoint:
    """The point of a step that raises, and gives `warning`, only where it is not skipped."""
    return replace(
        point,
        raises=None,
        stops_midway=False,
        may_raise=point.may_raise or point.raises,
        warns=tuple(text for text in point.warns if text != warning),
        may_warn=tuple(text for text in point.warns if text == warning),
    )


def stepped_on_a_scaled_loss(
    point: ExpectedPoint,
    gradients: Mapping[str, Array],
    overflowing: Collection[str],
    warning: str | None,
    traced: bool,
) -> ExpectedPoint:
    """The point of a step that is skipped where a gradient is not finite.

    gradients: those that the step is given. overflowing: whose are surely not finite. What the
    optimizer inside would raise or warn of it does not then, unless both ways were traced. Where it
    is not known whether a step is skipped, one that would raise moves nothing either way.
    """
    if overflowing:
        point = replace(point, skipped=True)
    elif all(np.isfinite(gradient).all() for gradient in gradients.values()):
        return point
    if traced:
        return point
    unsure = if_not_skipped(point, warning)
    if not point.skipped:
        return replace(unsure, skipped=point.raises is not None)
    return replace(unsure, may_raise=point.may_raise, may_warn=())
