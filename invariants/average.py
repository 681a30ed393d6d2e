"""Averages of weights: a copy that follows the weights step by step, as a case asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from invariants.document import Document
from invariants.oracle.contract import Contract


@dataclass(frozen=True, kw_only=True)
class Average(Document):
    """After each step decay · average + (1 - decay) · weight, or the mean of all so far.

    The first average is the weight. decay: of the exponential average alone. buffers: averages the
    states of layers as well, instead of taking them as they are. overwrite: after every so many
    steps the weights become their averages; 0 for never.
    """

    kind: Literal["exponential", "equal"] = "exponential"
    decay: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.9
    buffers: bool = False
    overwrite: Annotated[int, Field(ge=0, le=10_000)] = 0


def not_averaged(average: Average, contract: Contract) -> str:
    """Why a backend cannot average so; "" where it can."""
    if average.kind not in contract["averages"]:
        return f"{contract.backend} has no {average.kind} average"
    if average.buffers not in contract["average_of_states"]:
        return f"{contract.backend} averages no states"
    if average.overwrite and not contract["average_overwrites"]:
        return f"{contract.backend} overwrites no weights by their averages"
    return ""
