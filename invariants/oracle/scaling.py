"""The scale of a loss, by which adjoints are larger on their way back."""

from __future__ import annotations

from collections.abc import Mapping


class LossScale:
    """A power of two; one that is dynamic grows with steps that are made, and halves otherwise.

    growth: after how many steps it doubles; 0 where it stays.
    """

    def __init__(self, traits: Mapping[str, str]) -> None:
        self.first = float(traits.get("scale", "1.0"))
        self.growth = int(traits.get("growth", "0"))
        self.begin()

    def begin(self) -> None:
        """With a new optimizer."""
        self.factor = self.first
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
