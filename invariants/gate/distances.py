"""How far arrays are from what they are compared with, in spreads: the sums of a group of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: What is told of a distribution: its middle, its quarters, and all but its ends.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class Distances:
    """Some arrays. apart: the worst element of each that is not equal to what it is compared with.

    by: what the arrays are grouped by; name: of the group.
    """

    backend: str
    by: str
    name: str
    arrays: int = 0
    apart: list[float] = field(default_factory=list)

    def add(self, apart: float | None) -> None:
        """Counts one more array; None where it is equal."""
        self.arrays += 1
        self.apart += [] if apart is None else [apart]

    @property
    def equal(self) -> float:
        """The share of equal arrays."""
        return 1.0 - len(self.apart) / self.arrays if self.arrays else 1.0

    @property
    def largest(self) -> float:
        return max(self.apart, default=0.0)

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "backend": self.backend,
            "by": self.by,
            "name": self.name,
            "arrays": self.arrays,
            "equal": self.arrays - len(self.apart),
            "quantiles": [_plain(number) for number in quantiles(self.apart)],
            "largest": _plain(self.largest),
        }


def quantiles(numbers: Sequence[float]) -> list[float]:
    """The QUANTILES of some numbers, each one of these numbers: infinity has no middle."""
    if not numbers:
        return [0.0] * len(QUANTILES)
    return [float(n) for n in np.quantile(numbers, QUANTILES, method="inverted_cdf")]


def _plain(number: float) -> float | str:
    """JSON has no infinity."""
    return number if math.isfinite(number) else repr(number)
