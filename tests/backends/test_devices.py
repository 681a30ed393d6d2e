"""The devices of a program: what a script says of them, and what is judged by the spread there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from forging import at, gradient_of, last_bit_flipped, since, torch_case, with_observation
from hypothesis import given
from tests_support import simple_case

from invariants.architecture.layers import LAYERS, AnyLayer
from invariants.architecture.layers.convolution import Conv1D
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS
from invariants.backends.needs import missing_modes
from invariants.backends.probing import absent
from invariants.case import Case, CaseError, from_json
from invariants.generate.cases import cases
from invariants.judge import gather
from invariants.observation import Array, Raised
from invariants.oracle.contract import CONTRACTS, Device
from invariants.oracle.losses import LOSSES
from invariants.oracle.rounding import LAMBDA
from invariants.program import Freeze, Gradient, Step
from invariants.properties import (
    deterministic,
    freezing_is_transparent,
    frozen_weights,
    program_runs,
)
from invariants.properties.evidence import Evidence
from invariants.report.repro import script

_DEVICES = [
    pytest.param(backend, device, id=f"{backend}-{device.name}")
    for backend, contract in CONTRACTS.items()
    for device in contract.devices
]

# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "device"), _DEVICES)
def test_every_device_says_where_it_is_documented(backend: str, device: Device) -> None:
    assert device.sentence
    assert device.source.startswith("https://")
    assert {*device.without} <= {*CONTRACTS[backend].mode_names}
    assert {*device.unordered} <= {"", *LAYERS, *LOSSES}


@pytest.mark.parametrize("backend", CONTRACTS)
def test_the_cpu_is_always_there_and_the_first(backend: str) -> None:
    first = CONTRACTS[backend].devices[0]
    assert first.name == "cpu"
    assert not absent(backend, "cpu")
    assert first.same_kernels
    assert not first.unordered


#: What a documented operation is called where a layer is made or called.
_OPERATIONS = {
    "nn.Conv1d": r"nn\.Conv1d",
    "nn.Conv2d": r"nn\.Conv2d",
    "nn.Conv3d": r"nn\.Conv3d",
    "nn.ConvTranspose1d": r"nn\.ConvTranspose1d",
    "nn.ConvTranspose2d": r"nn\.ConvTranspose2d",
    "nn.ConvTranspose3d": r"nn\.ConvTranspose3d",
    "the backward pass of nn.AdaptiveAvgPool2d": r"nn\.AdaptiveAvgPool[12]d",
    "the backward pass of nn.AdaptiveAvgPool3d": r"nn\.AdaptiveAvgPool3d",
    "the backward pass of nn.AdaptiveMaxPool2d": r"nn\.AdaptiveMaxPool[12]d",
    "the backward pass of F.interpolate": r"nn\.Upsample",
    "nn.RNN, nn.GRU and nn.LSTM, by some versions of cuDNN and CUDA": r"nn\.(RNN|GRU|LSTM)\b",
}


@given(cases(("torch",)))
def test_what_calls_an_operation_that_is_not_deterministic_has_a_row(case: Case) -> None:
    unordered = CONTRACTS["torch"].device("cuda").unordered
    for placed in case.architecture.layers:
        row = BACKENDS["torch"].LOWERINGS[placed.layer.kind]
        made = row.construct(placed.layer, placed.specs) if row.construct else ""
        text = made + "".join(row.definition)
        named = {name for name, pattern in _OPERATIONS.items() if re.search(pattern, text)}
        known = unordered.get(placed.layer.kind)
        assert named == ({known} if known else set()), placed.layer.kind


def of_backend(backend: str) -> Case:
    """A small case that one backend alone runs."""
    case = simple_case()
    return replace(case, realisations={backend: case.realisations[backend]})


# --- the script -----------------------------------------------------------------------------------


def test_a_torch_script_names_its_device_where_it_makes_a_model() -> None:
    case = of_backend("torch")
    on_cpu = BACKENDS["torch"].render(case)
    on_cuda = BACKENDS["torch"].render(case.on("cuda"))
    added = {*on_cuda.splitlines()} - {*on_cpu.splitlines()}
    assert added == {
        'model = Net().to("cuda", torch.float32)',
        *CONTRACTS["torch"].device("cuda").settings,
    }


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_no_mode_with_an_autocast_of_the_cpu_runs_elsewhere(device: str) -> None:
    contract = CONTRACTS["torch"]
    lowering = {mode.name for mode in contract.modes if "autocast" in mode.traits}
    assert lowering == {m for m in contract.device(device).without if m in lowering}


@given(cases(("torch",), device="cuda"))
def test_no_torch_script_names_the_cpu_where_it_runs_elsewhere(case: Case) -> None:
    source = BACKENDS["torch"].render(case)
    assert source.count("Net().to(") == source.count('Net().to("cuda", torch.')
    assert '"cpu"' not in source
    made = re.findall(r"(?<!nn\.Parameter\()torch\.(?:arange|tensor|full|rand\w*)\([^\n]*", source)
    assert all("device=" in line or "_like(" in line for line in made)


@pytest.mark.parametrize(("name", "place"), [("cpu", "CPU:0"), ("cuda", "GPU:0")])
def test_a_keras_script_runs_within_its_device(name: str, place: str) -> None:
    source = BACKENDS["tensorflow"].render(of_backend("tensorflow").on(name))
    head, program = source.split(f'with tf.device("{place}"):\n')
    assert "build_network()" in program
    assert "model = " not in head
    assert ("enable_tensor_float_32_execution(False)" in head) is (name == "cuda")


# --- what may be drawn, and what is refused -------------------------------------------------------


@given(cases(("torch",), device="mps"))
def test_what_a_device_does_not_compute_is_not_drawn_for_it(case: Case) -> None:
    device = CONTRACTS["torch"].device("mps")
    assert {case.dtype, *case.dtypes} <= {*device.dtypes}
    assert case.realisations["torch"].mode not in device.without
    assert from_json(case.to_json()) == case


def test_a_device_that_a_case_cannot_run_on_is_refused_by_name() -> None:
    case = of_backend("torch")
    refused: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("tpu", {}, "torch: unknown device 'tpu', it has cpu and cuda and mps"),
        ("mps", {"dtype": "float64"}, "torch: no float64 on mps"),
    )
    for device, changes, words in refused:
        with pytest.raises(CaseError, match=words):
            replace(case, **changes).on(device).check()
    autocast = replace(case.realisations["torch"], mode="autocast_bfloat16")
    with pytest.raises(CaseError, match="no autocast_bfloat16 on cuda: autocast lowers other"):
        replace(case, realisations={"torch": autocast}).on("cuda").check()
    with pytest.raises(CaseError, match="tensorflow: unknown device 'mps', it has cpu and cuda"):
        of_backend("tensorflow").on("mps").check()


def test_cases_on_a_device_that_a_backend_lacks_are_no_strategy() -> None:
    with pytest.raises(ValueError, match="tensorflow: unknown device 'mps'"):
        cases(("torch", "tensorflow"), device="mps")
    with pytest.raises(ValueError, match="torch: no autocast_float16 on cuda"):
        cases(("torch",), mode="autocast_float16", device="cuda")


def test_a_mode_that_a_device_lacks_is_named_with_its_reason() -> None:
    missing = missing_modes("torch", "cuda")
    assert missing["scaled_float16"].startswith("autocast lowers other operations")
    assert "eager" not in missing


# --- what is judged -------------------------------------------------------------------------------


_PROGRAM = (Gradient(0), Freeze("dense_1"), Gradient(0), Step(0), Gradient(0))


@cache
def on_the_cpu(convolves: bool) -> Evidence:
    """Two runs of a program, to be judged as if they came from elsewhere."""
    first: AnyLayer = Conv1D(filters=2) if convolves else Dense(units=2)
    inputs = (3, 2) if convolves else (2,)
    case = torch_case((first, Dense(units=2)), _PROGRAM, inputs=inputs)
    return gather(case, "torch", repeat=True)


def moved(evidence: Evidence, device: str, change: Callable[[Array], Array]) -> Evidence:
    """The evidence with another gradient of the first kernel at the last action of each run."""
    name = next(iter(evidence.case.weights))
    repeat = evidence.repeat
    assert repeat is not None
    points = tuple(
        replace(point, gradients={**point.gradients, name: change(point.gradients[name])})
        if point.action == 4
        else point
        for point in repeat.points
    )
    return replace(evidence, case=evidence.case.on(device), repeat=replace(repeat, points=points))


def last_bit(array: Array) -> Array:
    return last_bit_flipped(array, (0,) * array.ndim)


def doubled(array: Array) -> Array:
    return 2.0 * array


@pytest.mark.parametrize(
    ("convolves", "device", "change", "found"),
    [
        (True, "cpu", last_bit, True),
        (True, "cuda", last_bit, False),
        (True, "cuda", doubled, True),
        (False, "cuda", last_bit, True),
    ],
)
def test_two_runs_agree_to_the_bit_where_all_is_documented_as_deterministic(
    convolves: bool, device: str, change: Callable[[Array], Array], found: bool
) -> None:
    evidence = moved(on_the_cpu(convolves), device, change)
    assert bool([*deterministic.judge(evidence)]) is found


def test_a_second_run_that_is_too_far_away_says_how_far() -> None:
    evidence = moved(on_the_cpu(True), "cuda", doubled)
    (finding,) = deterministic.judge(evidence)
    assert finding.spreads is not None
    assert finding.spreads > LAMBDA
    assert f"violated = not max(runs) - min(runs) <= {finding.allowed!r}" in script(
        evidence.case, finding
    )


@pytest.mark.parametrize(
    ("device", "change", "found"),
    [("cpu", last_bit, True), ("cuda", last_bit, False), ("cuda", doubled, True)],
)
def test_gradients_under_other_flags_agree_within_the_spread_where_kernels_are_not_known(
    device: str, change: Callable[[Array], Array], found: bool
) -> None:
    evidence = on_the_cpu(False)
    name = next(iter(evidence.case.weights))
    held = gradient_of(evidence, 2, name)
    placed = replace(evidence, case=evidence.case.on(device))
    forged = at(placed, 2, "gradients", name, change(held))
    assert bool([*freezing_is_transparent.judge(forged)]) is found


def test_a_frozen_weight_keeps_its_bits_on_every_device() -> None:
    evidence = on_the_cpu(True)
    placed = replace(evidence, case=evidence.case.on("cuda"))
    (finding,) = frozen_weights.judge(since(placed, 3, "dense_1.kernel", last_bit))
    assert finding.severity == "violation"


@pytest.mark.parametrize(("device", "severity"), [("mps", "unsupported"), ("cpu", "violation")])
def test_an_operation_that_a_device_lacks_breaks_nothing(device: str, severity: str) -> None:
    case = torch_case((Dense(units=1),), (Gradient(0), Step(0)), dtype="float32")
    message = "The operator 'aten::x' is not currently implemented for the MPS device."
    evidence = gather(case, "torch")
    error = Raised("NotImplementedError", message, ("loss.backward()",), False)
    forged = with_observation(
        replace(evidence, case=case.on(device)),
        errors={1: error},
        points=evidence.observation.points[:2],
    )
    (finding,) = program_runs.judge(forged)
    assert finding.severity == severity
