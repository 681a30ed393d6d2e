"""A sum of losses divided by the number of samples, which torch's KLDivLoss alone has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from forging import torch_case

from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS, installed
from invariants.case import Case, CaseError, Realisation, frozen
from invariants.judge import judge
from invariants.objective import Term
from invariants.program import Freeze, Gradient, Step

TERM = Term(loss="kl_divergence", reduction="batchmean")

needs_torch = pytest.mark.skipif(not installed("torch"), reason="torch is not installed")


def of_positions(mode: str = "eager") -> Case:
    """Each sample has a distribution at two positions, so a mean is another number."""
    program = (Gradient(0), Freeze("dense_1"), Step(0))
    case = torch_case((Dense(units=2), Dense(units=4)), program, inputs=(2, 3))
    (batch,) = case.batches
    target = frozen(abs(batch.targets[0]) * 0.0 + 0.25)
    case = replace(case, objective=(TERM,), batches=(replace(batch, targets=(target,)),))
    realisation = replace(case.realisations["torch"], mode=mode)
    return replace(case, realisations={"torch": realisation}).check()


@needs_torch
@pytest.mark.parametrize("mode", ["eager", "per_sample"])
def test_batchmean_divides_by_the_samples_alone(mode: str) -> None:
    case = of_positions(mode)
    assert "nn.KLDivLoss(reduction='batchmean')" in BACKENDS["torch"].render(case)
    verdict = judge(case, "torch")
    assert verdict.findings == ()
    assert verdict.measures.gradients > 0


@needs_torch
def test_a_batchmean_that_counts_positions_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn import functional

    def halved(x: Any, y: Any, reduction: str, **options: Any) -> Any:
        return kl_div(x, y, reduction=reduction, **options) / x.shape[1]

    kl_div = functional.kl_div
    monkeypatch.setattr(functional, "kl_div", lambda *args, **given: halved(*args, **given))
    found = {finding.property_ for finding in judge(of_positions(), "torch").violations}
    assert "upstream_gradients" in found


def test_keras_has_no_batchmean() -> None:
    realisations = {"tensorflow": Realisation("tape", (None,), {})}
    case = replace(of_positions(), program=(Gradient(0),), realisations=realisations)
    with pytest.raises(CaseError, match="kl_divergence has no batchmean: KLDivergence: reduction"):
        case.check()


def test_batchmean_takes_no_weights() -> None:
    case = replace(of_positions(), objective=(replace(TERM, weighting="mask"),))
    with pytest.raises(CaseError, match="batchmean is a reduction of losses without weights"):
        case.check()
