"""What no recurrent layer does is refused by each of them, also by those that skip steps."""

from __future__ import annotations

import pytest

from invariants.architecture.layers.base import ShapeError, Spec
from invariants.architecture.layers.recurrent import LSTM
from invariants.architecture.layers.skipping import MaskedGRU, MaskedLSTM, PaddedLSTM

STEPS = Spec((3, 2))
INDICES = Spec((3,), vocabulary=4)


@pytest.mark.parametrize(
    ("kind", "spec"), [(LSTM, STEPS), (MaskedLSTM, INDICES), (PaddedLSTM, INDICES)]
)
def test_units_are_projected_to_fewer(kind: type[LSTM], spec: Spec) -> None:
    assert kind(units=3, projected_to=2, return_sequences=True).output((spec,)).shape == (3, 2)
    with pytest.raises(ShapeError, match="2 units are projected to fewer, not 2"):
        kind(units=2, projected_to=2).output((spec,))


def test_no_layer_of_several_cells_goes_backwards() -> None:
    with pytest.raises(ShapeError, match="a masked_gru layer has more than one cell"):
        MaskedGRU(backwards=True).output((INDICES,))


def test_rows_by_index_are_not_looked_up_by_features() -> None:
    with pytest.raises(ShapeError, match="a masked_gru layer does not take"):
        MaskedGRU().output((STEPS,))
