"""Autocast: which layers it lowers, and how the tape rounds in two formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from forging import torch_case
from hypothesis import Phase, find, settings

from invariants.architecture.graph import Placed
from invariants.architecture.layers import LAYERS
from invariants.architecture.layers.dense import Dense
from invariants.backends.source import definitions, native_from
from invariants.backends.torch import LOWERINGS, VALUE_AXES
from invariants.case import Case, CaseError
from invariants.generate.cases import cases
from invariants.judge import gather, judge
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.contract.torch_autocast import (
    LOWERED,
    LOWERED_INSIDE,
    WIDENED,
    WIDENED_INSIDE,
    keeps_cast,
    lowered,
)
from invariants.oracle.rounding import PRECISIONS, Rounding
from invariants.oracle.tape import Tape
from invariants.program import Freeze, Gradient, Step, Thaw

#: oneDNN makes an LSTM of 16 bits where the processor has instructions for them; a product of two
#: vectors is a sum that is not lowered, which the oracle takes for one that is.
_BY_CHANCE = {kind for kind in LAYERS if "lstm" in kind} | {"dot"}

_LISTED = LOWERED | LOWERED_INSIDE | WIDENED | WIDENED_INSIDE
_OTHERS = ("add", "batch_norm", "concatenate", "layer_norm", "max_pool2d", "relu", "softmax")


def _a_layer(kind: str, holding: str = "") -> tuple[Case, Placed]:
    """A layer of the kind in a case of its own; holding: a weight that it is to have."""

    def fits(placed: Placed) -> bool:
        names = {parameter.name for parameter in placed.parameters}
        return placed.layer.kind == kind and (not holding or holding in names)

    case = find(
        cases(("torch",), layer=kind),
        lambda case: any(map(fits, case.architecture.layers)),
        settings=settings(database=None, deadline=None, phases=[Phase.generate]),
    )
    return case, next(filter(fits, case.architecture.layers))


def _made(case: Case, placed: Placed) -> tuple[dict[str, Any], Callable[[], Any]]:
    """What a layer's call reads, the layer itself as `made`; and the call, of x0, x1, ..."""
    row = LOWERINGS[placed.layer.kind]
    names: dict[str, Any] = {}
    head = ["import torch", "from torch import nn", "from torch.nn import functional as F"]
    exec("\n".join([*head, *definitions(case, LOWERINGS)]), names)
    made = row.construct(placed.layer, placed.specs) if row.construct else ""
    names["made"] = eval(made or "None", names)
    arguments = [f"x{n}" for n in range(len(placed.specs))]
    call = row.call(placed.layer, "made", arguments, placed.specs)
    return names, lambda: eval(call, names)


@pytest.mark.parametrize("kind", sorted({*_LISTED, *_OTHERS} - _BY_CHANCE))
def test_a_layer_puts_out_the_format_that_the_table_says(kind: str) -> None:
    torch = pytest.importorskip("torch")
    case, placed = _a_layer(kind)
    names, call = _made(case, placed)
    for given in (False, True):
        for number, spec in enumerate(placed.specs):
            zeros = torch.from_numpy(
                native_from(np.zeros((2, *spec.shape)), VALUE_AXES.get(spec.rank))
            )
            dtype = torch.bfloat16 if given else torch.float32
            names[f"x{number}"] = zeros.long() if spec.vocabulary is not None else zeros.to(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = call()
        out = lowered(kind, (given,) * len(placed.specs))[1]
        assert y.dtype == (torch.bfloat16 if out else torch.float32)


@pytest.mark.parametrize(
    ("kind", "weight", "beside"),
    [
        ("dense", "bias", ""),
        ("gru", "recurrent_kernel", ""),
        ("lstm", "projection", ""),
        ("bidirectional_lstm", "backward_projection", ""),
        ("stacked_lstm", "second_projection", ""),
        ("stacked_lstm", "second_kernel", "second_projection"),
        ("packed_cross_attention", "packed_kernel", ""),
        ("packed_cross_attention", "packed_bias", ""),
        ("packed_cross_attention", "query_kernel", ""),
        ("packed_multi_head_attention", "packed_kernel", ""),
        ("packed_multi_head_attention", "packed_bias", ""),
        ("weight_norm_dense", "bias", ""),
        ("weight_norm_dense", "magnitude", ""),
    ],
)
def test_a_region_goes_on_with_the_casts_that_the_table_says(
    kind: str, weight: str, beside: str
) -> None:
    torch = pytest.importorskip("torch")
    case, placed = _a_layer(kind, beside or weight)
    names, call = _made(case, placed)
    made = names["made"].eval()
    for number, spec in enumerate(placed.specs):
        drawn = np.random.default_rng(number).normal(size=(2, *spec.shape))
        names[f"x{number}"] = torch.from_numpy(
            native_from(drawn, VALUE_AXES.get(spec.rank))
        ).float()
    moved = made.get_parameter(LOWERINGS[kind].parameters[weight].name)

    def loss() -> float:
        with torch.no_grad():
            return float(call().double().sum())

    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = loss()
        with torch.no_grad():
            moved.mul_(2.0).add_(1.0)
        second = loss()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss() != first
    assert (second == first) == keeps_cast(kind, weight)


def _tape() -> Tape:
    wide = Rounding(PRECISIONS["float32"])
    return Tape(wide, wide.apart("bfloat16"))


def _relative(samples: np.ndarray) -> float:
    return float(np.abs(samples[1:] / samples[:1] - 1.0).max())


def test_what_is_lowered_is_rounded_once_and_what_the_format_holds_is_not() -> None:
    tape = _tape()
    held, third = tape.constant(np.array([[0.75]])), tape.constant(np.array([[1.0 / 3.0]]))
    assert tape.cast(held, lower=True).data.shape == (1, 1)
    narrow = tape.cast(third, lower=True)
    assert 2.0**-12 < _relative(narrow.data) <= 2.0**-8
    assert tape.cast(third, lower=True) is narrow
    assert tape.cast(narrow, lower=False).data is narrow.data


def test_an_adjoint_is_held_in_the_format_of_its_value() -> None:
    tape = _tape()
    x = tape.constant(np.array([[1.0 / 3.0]]))
    narrow = tape.cast(x, lower=True)
    product = narrow * (1.0 / 7.0)  # computed in float32, as is what it takes part in
    (of_x,) = tape.gradients(product.sum(-1), [x])
    assert 2.0**-12 < _relative(of_x) <= 2.0**-7


def _in(mode: str, *program: Any, **options: Any) -> Case:
    case = torch_case((Dense(units=3), Dense(units=2), Dense(units=1)), program, **options)
    return replace(case, realisations={"torch": replace(case.realisations["torch"], mode=mode)})


PROGRAM = (Gradient(0), Freeze("dense_1"), Gradient(0), Step(0), Thaw("dense_1"), Step(0))


@pytest.mark.parametrize(
    "mode", [m.name for m in CONTRACTS["torch"].modes if "autocast" in m.traits]
)
def test_gradients_and_weights_stay_in_float32_through_what_is_lowered(mode: str) -> None:
    case = _in(mode, *PROGRAM, dtype="float32", input_gradient=True).check()
    verdict = judge(case, "torch")
    kept = {"torch-autocast-keeps-casts"} if mode == "autocast_kept" else set()
    assert {finding.issue for finding in verdict.findings} <= kept
    wide = gather(_in("eager", *PROGRAM, dtype="float32", input_gradient=True), "torch")
    narrow = verdict.evidence.expectation.points[0].gradients["dense_0.kernel"]
    exact = wide.expectation.points[0].gradients["dense_0.kernel"]
    assert (narrow.spread > 50.0 * exact.spread).all()


def test_a_scaled_loss_leaves_the_same_gradient() -> None:
    kernels = [
        gather(_in(mode, Gradient(0), dtype="float32"), "torch").observation.points[-1].gradients
        for mode in ("autocast_float16", "scaled_float16")
    ]
    a, b = (k["dense_2.kernel"] for k in kernels)
    assert a is not None
    assert b is not None
    assert np.abs(a - b).max() <= 2.0**-11 * np.abs(a).max()


def test_autocast_is_for_float32_and_a_scaler_takes_no_closure() -> None:
    with pytest.raises(CaseError, match="autocast_bfloat16 does not take float64 with sgd"):
        _in("autocast_bfloat16", *PROGRAM).check()
    assert not CONTRACTS["torch"].mode("scaled_float16").takes(("float32",), "lbfgs", ())
