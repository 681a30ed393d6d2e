"""Which networks may lay out a result otherwise than a trace of it, and what then raises."""

from __future__ import annotations

from dataclasses import replace

import pytest
from forging import chain, torch_case

from invariants.architecture.graph import Architecture
from invariants.architecture.layers import AnyLayer
from invariants.architecture.layers.activations import LogSoftmax, Tanh
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.convolution import Conv1D, Conv2D
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.grouping import GroupNorm, InstanceNorm
from invariants.architecture.layers.indexing import Slice, Split
from invariants.architecture.layers.lora import LoraEmbedding
from invariants.architecture.layers.normalization import BatchNorm
from invariants.architecture.layers.resizing import Cropping1D, ZeroPadding2D
from invariants.architecture.layers.shaping import Embedding, Flatten, Reshape
from invariants.case import Case
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.oracle.layouts import (
    lays_out_otherwise,
    normalises_a_part,
    strides_of_their_own,
)
from invariants.program import Freeze, Gradient

ISSUE = "torch-linear-map-views"
REFUSED = ("RuntimeError", "view size is not compatible")
AS_IF = CONTRACTS["torch"].as_if({"view_in_a_linear_map": REFUSED})


def series(channels: int) -> tuple[AnyLayer, ...]:
    return (Dense(units=3 * channels), Reshape(shape=(3, channels)), Conv1D(filters=2))


def image(*layers: AnyLayer) -> tuple[AnyLayer, ...]:
    return (Dense(units=12), Reshape(shape=(2, 3, 2)), *layers)


def case_of(*layers: AnyLayer, mode: str = "linearized") -> Case:
    case = torch_case(layers, (Gradient(0),))
    realisation = replace(case.realisations["torch"], mode=mode)
    return replace(case, realisations={"torch": realisation}).check()


WINDOW = (2, 2)

MAY: dict[str, tuple[AnyLayer, ...]] = {
    "one channel": (*series(1), Flatten()),
    "one channel before a linear layer": (*series(1), Dense(units=2)),
    "zeros": image(ZeroPadding2D(), Flatten()),
    "zeros of a convolution": image(
        Conv2D(filters=2, kernel_size=WINDOW, padding="same"), Flatten()
    ),
}

MAY_NOT: dict[str, tuple[AnyLayer, ...]] = {
    "two channels": (*series(2), Flatten()),
    "one channel that comes of one": (Reshape(shape=(3, 1)), Conv1D(), Flatten()),
    "nothing behind it": series(1),
    "no zeros": image(Conv2D(filters=2, kernel_size=WINDOW), Flatten()),
    "no convolution": (Dense(units=3), Tanh()),
    "an instance norm before it": image(
        InstanceNorm(), Conv2D(filters=2, kernel_size=WINDOW), Flatten()
    ),
}


@pytest.mark.parametrize("what", MAY)
def test_a_view_behind_what_lies_both_ways_may_raise(what: str) -> None:
    (point,) = expect(case_of(*MAY[what]), "torch", AS_IF).points
    assert point.may_raise == REFUSED


@pytest.mark.parametrize("what", MAY_NOT)
def test_elsewhere_nothing_may_raise(what: str) -> None:
    (point,) = expect(case_of(*MAY_NOT[what]), "torch", AS_IF).points
    assert point.may_raise is None


def test_an_instance_norm_behind_the_tangents_of_a_kernel_alone_raises_as_known() -> None:
    layers = (Conv2D(filters=2, kernel_size=WINDOW), Tanh(), InstanceNorm(), Flatten())
    case = torch_case(layers, (Gradient(0),), inputs=(3, 3, 2))
    realisation = replace(case.realisations["torch"], mode="linearized")
    case = replace(case, realisations={"torch": realisation})
    both = replace(case, input_gradient=True).check()
    biased = replace(case, program=(Freeze("conv2d_0.kernel"), Gradient(0)))
    realisation = replace(realisation, ways=("tensor_requires_grad_", None))
    biased = replace(biased, realisations={"torch": realisation}).check()
    found = [{f.issue for f in judge(c, "torch").findings} for c in (case.check(), both, biased)]
    assert found == [{ISSUE}, set(), set()]


@pytest.mark.parametrize("table", [Embedding(features=2), LoraEmbedding(features=2)])
def test_rows_of_several_features_may_raise_behind_the_tangents_of_their_table(
    table: AnyLayer,
) -> None:
    name = f"{table.kind}_0.embeddings"

    def lies_otherwise(steps: int, *layers: AnyLayer, changing: str = name) -> bool:
        network = Architecture((Spec((steps,), vocabulary=3),), chain(*layers))
        return lays_out_otherwise(network, {changing})

    assert lies_otherwise(2, table, Flatten())
    assert not lies_otherwise(1, table, Flatten())
    assert not lies_otherwise(2, table)
    assert not lies_otherwise(2, replace(table, features=1), Flatten())
    assert not lies_otherwise(2, table, Flatten(), Dense(units=1), changing="dense_2.kernel")


def test_a_convolution_that_no_tangent_reaches_may_not_raise() -> None:
    case = torch_case((Conv1D(filters=2), Flatten()), (Gradient(0),), inputs=(3, 1))
    realisation = replace(case.realisations["torch"], mode="linearized")
    case = replace(case, realisations={"torch": realisation})
    asked = replace(case, input_gradient=True).check()
    (point,), (other,) = (expect(c, "torch", AS_IF).points for c in (case.check(), asked))
    assert (point.may_raise, other.may_raise) == (None, REFUSED)


@pytest.mark.parametrize(("mode", "found"), [("linearized", {ISSUE}), ("forward_mode", set())])
@pytest.mark.parametrize("what", MAY)
def test_a_linear_map_of_views_raises_as_known_where_jacfwd_does_not(
    what: str, mode: str, found: set[str]
) -> None:
    assert {f.issue for f in judge(case_of(*MAY[what], mode=mode), "torch").findings} == found


@pytest.mark.parametrize(
    ("shape", "layers", "found"),
    [
        ((4,), (Split(axis="last", parts=2, part=1), GroupNorm()), True),
        ((4, 2), (Cropping1D(cropping=(1, 1)), Reshape(shape=(4,)), GroupNorm()), True),
        ((4, 2), (Slice(axis="first", start=1, stop=3), Flatten(), GroupNorm()), True),
        ((4,), (Split(axis="last", parts=2, part=1), Tanh(), GroupNorm()), False),
        ((4,), (GroupNorm(), Split(axis="last", parts=2, part=1)), False),
        ((4, 2), (Flatten(), GroupNorm()), False),
    ],
)
def test_a_group_norm_of_a_part_raises_as_known_where_samples_are_taken_one_by_one(
    shape: tuple[int, ...], layers: tuple[AnyLayer, ...], found: bool
) -> None:
    case = torch_case((Dense(units=shape[-1]), *layers), (Gradient(0),), inputs=shape)
    alone = replace(case, realisations={"torch": replace(case.realisations["torch"], mode="eager")})
    each = replace(
        case, realisations={"torch": replace(case.realisations["torch"], mode="per_sample")}
    )
    assert not judge(alone.check(), "torch").findings
    issues = {f.issue for f in judge(each.check(), "torch").findings}
    assert issues == ({"torch-per-sample-group-norm"} if found else set())


def test_a_part_is_followed_into_blocks_and_out_of_them() -> None:
    part, norm = Split(axis="last", parts=2, part=1), GroupNorm()
    for members in ((chain(part), norm), (part, chain(norm)), (chain(chain(part)), chain(norm))):
        assert normalises_a_part(Architecture((Spec((4,)),), chain(*members)))
    assert not normalises_a_part(Architecture((Spec((4,)),), chain(chain(part, Tanh()), norm)))


@pytest.mark.parametrize(
    ("layers", "loss", "may"),
    [
        ((BatchNorm(), Flatten()), "mae", True),
        ((Flatten(), BatchNorm()), "mae", False),
        ((LogSoftmax(),), "mae", True),
        ((Tanh(),), "mae", False),
        ((Tanh(),), "mse", True),
        ((Tanh(),), "huber", True),
        ((Tanh(), Flatten()), "mse", False),
    ],
)
def test_strides_are_other_ones_where_a_kernel_orders_positions(
    layers: tuple[AnyLayer, ...], loss: str, may: bool
) -> None:
    architecture = Architecture((Spec((3, 2)),), chain(*layers))
    assert strides_of_their_own(architecture, {0: loss}) == may
    untraced = strides_of_their_own(architecture, {})
    assert untraced == (may and loss == "mae")


@pytest.mark.parametrize("mode", ["compiled", "compiled_step", "compiled_loss"])
def test_a_loss_counts_where_it_is_traced(mode: str) -> None:
    dense = (Dense(units=2), Reshape(shape=(2, 1)), Dense(units=2))
    as_if = CONTRACTS["torch"].as_if({"view_in_a_traced_graph": REFUSED})
    (point,) = expect(case_of(*dense, mode=mode), "torch", as_if).points
    assert point.may_raise == (None if mode == "compiled" else REFUSED)
    (point,) = expect(case_of(*dense, mode=mode), "torch").points
    assert point.may_raise is None
