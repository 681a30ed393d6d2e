"""Programs: what a training script does, one action after the other.

An action says what happens, the same for every backend; by which of a framework's ways it happens
is part of a `Realisation` (case.py), and what a way does is part of the framework's contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from invariants.document import Document

Dtype = Literal["float64", "float32", "bfloat16", "float16"]

_Batch = Annotated[int, Field(ge=0)]

Rate = Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)]


@dataclass(frozen=True)
class Freeze(Document):
    """Make the weights of a target non-trainable: a module's path, "" for all, or a weight."""

    target: str
    action: Literal["freeze"] = "freeze"


@dataclass(frozen=True)
class Thaw(Document):
    """Make the weights of a target trainable again."""

    target: str
    action: Literal["thaw"] = "thaw"


@dataclass(frozen=True)
class Gradient(Document):
    """The gradient of the loss on a batch, at the weights as they are."""

    batch: _Batch
    action: Literal["gradient"] = "gradient"


@dataclass(frozen=True)
class Step(Document):
    """An optimizer step with the gradient on a batch, added to those on further batches."""

    batch: _Batch
    more: tuple[_Batch, ...] = ()
    action: Literal["step"] = "step"


@dataclass(frozen=True)
class Evaluate(Document):
    """A forward pass on a batch without gradients; in training mode it moves states, too."""

    batch: _Batch
    training: bool = False
    action: Literal["evaluate"] = "evaluate"


@dataclass(frozen=True)
class SetMode(Document):
    """Training or inference mode from here on."""

    training: bool
    action: Literal["set_mode"] = "set_mode"


@dataclass(frozen=True)
class SetRate(Document):
    """Another learning rate from here on, times as large as the first one."""

    factor: Rate
    action: Literal["set_rate"] = "set_rate"


@dataclass(frozen=True)
class Compile(Document):
    """A new optimizer, for what is trainable now; a model that is compiled is compiled again."""

    action: Literal["compile"] = "compile"


@dataclass(frozen=True)
class Cast(Document):
    """The model has and computes in another dtype from here on, with a new optimizer."""

    dtype: Dtype
    action: Literal["cast"] = "cast"


@dataclass(frozen=True)
class Reload(Document):
    """The weights are saved and loaded, or copied, and the program goes on with what they give."""

    action: Literal["reload"] = "reload"


Action = Annotated[
    Freeze | Thaw | Gradient | Step | Evaluate | SetMode | SetRate | Compile | Cast | Reload,
    Field(discriminator="action"),
]

#: The actions that compute gradients.
Learning = Gradient | Step

#: The actions that have a way in each backend.
Realised = Freeze | Thaw | Evaluate | Reload
