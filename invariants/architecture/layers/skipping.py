"""Tables and recurrent layers behind them that skip steps: by a mask, or behind a sample's end.

A mask goes from the table through every recurrent layer behind it. It would go on with a sequence,
to the layers behind and to the loss; so it ends with the layer here, as people end it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Parameter,
    Size,
    Spec,
)
from invariants.architecture.layers.embedding import looked_up, takes_indices, where_seen
from invariants.architecture.layers.recurrent import (
    GRU,
    LEVELS,
    LSTM,
    GRUBiases,
    SimpleRNN,
    _Recurrent,
    sequence,
    steps,
    unrolled,
)
from invariants.oracle.tape import Value

Skipped = Literal["repeated", "zeros"]


def _zeroed(taken: np.ndarray, y: Value) -> Value:
    """y, and zeros for the samples whose step is skipped."""
    return where_seen(taken, y, y.tape.lift(0.0))


def _side_by_side(values: Sequence[Value]) -> Value:
    return values[0].tape.apply("concatenate", *values) if len(values) > 1 else values[0]


@dataclass(frozen=True, kw_only=True)
class _Skipping(_Recurrent):
    """Rows of a table by index, and cells over them that skip steps: (T,) -> (units,).

    Skipped, a step leaves the states as they are; with the whole sequence, skipped says what such a
    step puts out. ends: 2 has a cell from each end, whose outputs stand side by side. levels: 2 has
    such cells once more, over the outputs of the first ones; they skip the same steps.
    """

    features: Size = 1
    ends: Literal[1, 2] = 1
    levels: Literal[1, 2] = 1
    skipped: Skipped = "repeated"
    frequency: ClassVar[int] = 1
    single: ClassVar[bool] = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Any:
        layer: Any = super().draw(choice, specs)
        return replace(
            layer,
            features=choice.integer(1, 4),
            ends=choice.one_of((1, 2)),
            levels=choice.one_of((1, 2)),
            skipped=choice.one_of(choice.offered("skipped_outputs")),
        )

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), "skipped_outputs": self.skipped}

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return takes_indices(specs)

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        return super().worth_drawing(specs) and (specs[0].vocabulary or 1) > 1

    @property
    def width(self) -> int:
        return self.ends * self.state_widths[0]

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        cells = self.in_levels(LEVELS[: self.levels], self._ends, self.features)
        return (Parameter("embeddings", (specs[0].vocabulary or 1, self.features)), *cells)

    @property
    def _ends(self) -> Mapping[str, int]:
        """What follows there for the cell from each end, and its stride over the steps."""
        return {"": 1} if self.ends == 1 else {"forward_": 1, "backward_": -1}

    def taken(self, indices: np.ndarray) -> np.ndarray:
        """Which steps of indices (N, T) are not skipped."""
        raise TypeError(f"{self.kind} skips nothing")

    def skip(
        self, call: Call, prefix: str, xs: Sequence[Value], taken: Sequence[np.ndarray]
    ) -> list[Value]:
        """The outputs of one cell; a step that is skipped repeats the one before."""
        seen = iter(taken)

        def cell(x: Value, held: list[Value]) -> list[Value]:
            after, now = self.cell(call, prefix, x, held), next(seen)
            return [where_seen(now, *pair) for pair in zip(after, held, strict=True)]

        return unrolled(cell, xs, self.state_widths)

    def forward(self, call: Call, *xs: Value) -> Value:
        taken = [*self.taken(xs[0].data[0]).T]
        outputs = steps(looked_up(call, xs[0]))
        for level in LEVELS[: self.levels]:
            runs = [
                self.skip(call, level + end, outputs[::way], taken[::way])
                for end, way in self._ends.items()
            ]
            last = _side_by_side([run[-1] for run in runs])
            in_order = [run[::way] for run, way in zip(runs, self._ends.values(), strict=True)]
            outputs = [_side_by_side(values) for values in zip(*in_order, strict=True)]
        if self.return_sequences:
            both = self.ends == 2
            skipped = call.contract["skipped_of_both_ends"] if both else self.skipped
            if skipped == "zeros":
                outputs = [_zeroed(*pair) for pair in zip(taken, outputs, strict=True)]
            return sequence(outputs)
        zeroed = self.skipped == "zeros" and self.ends == 1
        if zeroed and call.contract["skipped_at_the_end"] == "zeros":
            return _zeroed(taken[-1], last)
        return last


@dataclass(frozen=True, kw_only=True)
class _Masked(_Skipping):
    """It skips index 0, wherever that stands."""

    def taken(self, indices: np.ndarray) -> np.ndarray:
        return indices != 0


@dataclass(frozen=True, kw_only=True)
class _Padded(_Skipping):
    """It skips what stands behind the end of a sample.

    A sample is as long as it has indices other than 0, as people count who pad with 0; one that has
    none, one step.
    """

    skipped: Skipped = "zeros"

    def taken(self, indices: np.ndarray) -> np.ndarray:
        lengths = np.maximum((indices != 0).sum(axis=-1, keepdims=True), 1)
        return np.arange(indices.shape[-1]) < lengths


@dataclass(frozen=True, kw_only=True)
class MaskedSimpleRNN(_Masked, SimpleRNN):
    """Simple RNNs over the rows of a table that skip index 0."""

    kind: Literal["masked_simple_rnn"] = "masked_simple_rnn"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class MaskedLSTM(_Masked, LSTM):
    """LSTMs over the rows of a table that skip index 0."""

    kind: Literal["masked_lstm"] = "masked_lstm"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class MaskedGRU(_Masked, GRU):
    """GRUs over the rows of a table that skip index 0."""

    kind: Literal["masked_gru"] = "masked_gru"  # type: ignore[assignment]
    biases: GRUBiases = "none"  # type: ignore[assignment]  # as a GRU has them


@dataclass(frozen=True, kw_only=True)
class PaddedSimpleRNN(_Padded, SimpleRNN):
    """Simple RNNs over the rows of a table, as far as each sample is long."""

    kind: Literal["padded_simple_rnn"] = "padded_simple_rnn"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class PaddedLSTM(_Padded, LSTM):
    """LSTMs over the rows of a table, as far as each sample is long."""

    kind: Literal["padded_lstm"] = "padded_lstm"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class PaddedGRU(_Padded, GRU):
    """GRUs over the rows of a table, as far as each sample is long."""

    kind: Literal["padded_gru"] = "padded_gru"  # type: ignore[assignment]
    biases: GRUBiases = "none"  # type: ignore[assignment]  # as a GRU has them


#: The layers of this family, the simplest first.
LAYERS = (
    MaskedSimpleRNN,
    MaskedLSTM,
    MaskedGRU,
    PaddedSimpleRNN,
    PaddedLSTM,
    PaddedGRU,
)
