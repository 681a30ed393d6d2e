"""Each property finds what it is for, where it is, and nothing else calls the same thing wrong.

The evidence is real and yields nothing; each row of FORGERIES then changes the observation in one
place. The borderline of the rounding model stands below the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from forging import (
    all_frozen,
    at,
    gradient_of,
    last_bit_flipped,
    point_of,
    real,
    since,
    torch_case,
    twice,
    with_element,
    with_observation,
    with_points,
)
from hypothesis import given
from hypothesis import strategies as st

from invariants.architecture.layers.dense import Dense
from invariants.case import frozen
from invariants.finding import Finding
from invariants.judge import gather
from invariants.observation import Array, ObservedPoint, Raised
from invariants.oracle.rounding import LAMBDA, Estimate
from invariants.program import Freeze, Gradient
from invariants.properties import PROPERTIES, findings
from invariants.properties.evidence import Evidence

Forge = Callable[[], Evidence]

#: A forgery that is found several ways names each: (property, action, subject, relation, element).
Found = tuple[str, int, str, str, tuple[int, ...] | None]


def found(evidence: Evidence) -> list[Found]:
    return [_summary(finding) for finding in findings(evidence)]


def _summary(f: Finding) -> Found:
    return (f.property_, f.action, f.subject, f.relation, f.element)


@dataclass(frozen=True)
class Forgery:
    """One change to real evidence, and all that is to be found of it."""

    forge: Forge
    found: tuple[Found, ...]


# --- ways to forge --------------------------------------------------------------------------------


def gradient(action: int, name: str, change: Callable[[Array], Array | None]) -> Forge:
    def forge() -> Evidence:
        evidence = real()
        return at(evidence, action, "gradients", name, change(gradient_of(evidence, action, name)))

    return forge


def scaled(element: tuple[int, ...], factor: float) -> Callable[[Array], Array]:
    return lambda array: with_element(array, element, array[element] * factor)


def flipped(element: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda array: last_bit_flipped(array, element)


def weight(
    action: int, name: str, change: Callable[[Array], Array], training: bool = True
) -> Forge:
    return lambda: since(real(training), action, name, change)


def unmoved(name: str, element: tuple[int, ...] | None = None) -> Forge:
    """Step 5 leaves `name`, or one element of it, as it was at 4."""

    def stay(array: Array) -> Array:
        before = point_of(real().observation, 4).weights[name]
        return before if element is None else with_element(array, element, before[element])

    return weight(5, name, stay)


def slot(action: int, name: str, kind: str, change: Callable[[Array], Array]) -> Forge:
    def forge() -> Evidence:
        held = point_of(real().observation, action).slots.get(name, {})
        start = held.get("momentum_buffer", np.zeros(2))
        return at(real(), action, "slots", name, {**held, kind: change(start)})

    return forge


def flag(action: int, name: str, value: bool) -> Forge:
    return lambda: at(real(), action, "flags", name, value)


def state_at(action: int, name: str, change: Callable[[Array], Array]) -> Forge:
    """A state at one action alone: the next forward pass moves it anyway."""

    def forge() -> Evidence:
        value = change(point_of(real().observation, action).weights[name])
        return at(real(), action, "weights", name, value)

    return forge


def repeated(action: int, change: Callable[[ObservedPoint], ObservedPoint]) -> Forge:
    """The second of two runs of one script went another way at `action`."""

    def forge() -> Evidence:
        again = twice().repeat
        assert again is not None
        points = tuple(change(p) if p.action == action else p for p in again.points)
        return replace(twice(), repeat=replace(again, points=points))

    return forge


def other_loss(point: ObservedPoint) -> ObservedPoint:
    assert point.loss is not None
    return replace(point, loss=np.nextafter(point.loss, np.inf))


def other_weight(point: ObservedPoint) -> ObservedPoint:
    kernel = last_bit_flipped(point.weights["dense_0.kernel"], (0, 0))
    return replace(point, weights={**point.weights, "dense_0.kernel": kernel})


def no_gradient(point: ObservedPoint) -> ObservedPoint:
    return replace(point, gradients={**point.gradients, "dense_0.kernel": None})


def other_gradient(point: ObservedPoint) -> ObservedPoint:
    given = point.gradients["dense_0.kernel"]
    assert given is not None
    changed = last_bit_flipped(given, (0, 0))
    return replace(point, gradients={**point.gradients, "dense_0.kernel": changed})


def without_record(action: int) -> Forge:
    def forge() -> Evidence:
        kept = tuple(p for p in real().observation.points if p.action != action)
        return with_observation(real(), points=kept)

    return forge


def run_twice_with_a_record_lost() -> Evidence:
    again = twice().repeat
    assert again is not None
    kept = tuple(p for p in again.points if p.action != 7)
    return replace(twice(), repeat=replace(again, points=kept))


def float32_throughout(name: str) -> Forge:
    return weight(-1, name, lambda array: array.astype(np.float32))


def compared(change: Callable[[Array], Array]) -> Forge:
    """Another backend's evidence with the same expectation and one other gradient, at 7."""
    return lambda: replace(
        real(), other=replace(gradient(7, "dense_0.kernel", change)(), backend="tensorflow")
    )


def nothing(array: Array) -> None:
    return None


GONE = ("RuntimeError", "element 0 of tensors does not require grad and has no grad_fn")

FORGERIES: dict[str, Forgery] = {
    "a warning": Forgery(
        lambda: with_observation(real(), warnings={4: (("UserWarning", "beware"),)}),
        (("program_runs", 4, "", "quiet", None),),
    ),
    "an error that nothing names": Forgery(
        lambda: with_observation(real(), errors={4: Raised("ValueError", "no")}),
        (("program_runs", 4, "", "raises", None),),
    ),
    "a model that could not be made": Forgery(
        lambda: with_observation(real(), points=(), errors={-1: Raised("TypeError", "no")}),
        (("program_runs", -1, "", "raises", None),),
    ),
    "a named error that does not come": Forgery(
        lambda: with_observation(all_frozen(), errors={}),
        (("program_runs", 1, "", "raises", None),),
    ),
    "a named error of another type": Forgery(
        lambda: with_observation(all_frozen(), errors={1: Raised("ValueError", GONE[1])}),
        (("program_runs", 1, "", "raises", None),),
    ),
    "a named error with another text": Forgery(
        lambda: with_observation(all_frozen(), errors={1: Raised(GONE[0], "out of memory")}),
        (("program_runs", 1, "", "raises", None),),
    ),
    "an action that records nothing": Forgery(
        without_record(7),
        (("program_runs", 7, "", "present", None),),
    ),
    "a weight in another dtype": Forgery(
        float32_throughout("dense_5.kernel"),
        (("program_runs", -1, "dense_5.kernel", "dtype", None),),
    ),
    "a frozen kernel whose last bit moves": Forgery(
        weight(5, "dense_4.kernel", flipped((1, 0))),
        (("frozen_weights", 5, "dense_4.kernel", "same_bits", (1, 0)),),
    ),
    "a frozen bias whose last bit moves": Forgery(
        weight(5, "dense_0.bias", flipped((2,))),
        (("frozen_weights", 5, "dense_0.bias", "same_bits", (2,)),),
    ),
    "a frozen kernel that turns NaN": Forgery(
        weight(5, "dense_4.kernel", lambda a: with_element(a, (0, 1), np.nan)),
        (("frozen_weights", 5, "dense_4.kernel", "same_bits", (0, 1)),),
    ),
    "a constant that a step moves": Forgery(
        weight(5, "projection_3.components", flipped((2, 1))),
        (("frozen_weights", 5, "projection_3.components", "same_bits", (2, 1)),),
    ),
    "a trainable kernel that a gradient alone moves": Forgery(
        weight(4, "dense_5.kernel", flipped((1, 0))),
        (("frozen_weights", 4, "dense_5.kernel", "same_bits", (1, 0)),),
    ),
    "a gradient that is off by 1e-12 of itself": Forgery(
        gradient(7, "dense_0.kernel", scaled((2, 1), 1 + 1e-12)),
        (("upstream_gradients", 7, "dense_0.kernel", "within", (2, 1)),),
    ),
    "a gradient that is NaN": Forgery(
        gradient(7, "dense_0.kernel", lambda a: with_element(a, (1, 1), np.nan)),
        (("upstream_gradients", 7, "dense_0.kernel", "within", (1, 1)),),
    ),
    "a gradient that is missing": Forgery(
        gradient(7, "dense_0.kernel", nothing),
        (("upstream_gradients", 7, "dense_0.kernel", "present", None),),
    ),
    "a gradient of another shape": Forgery(
        gradient(7, "dense_0.kernel", lambda a: a[:2]),
        (("upstream_gradients", 7, "dense_0.kernel", "present", None),),
    ),
    "a gradient in another dtype": Forgery(
        gradient(7, "batch_norm_1.beta", lambda a: a.astype(np.longdouble)),
        (("upstream_gradients", 7, "batch_norm_1.beta", "dtype", None),),
    ),
    "a gradient of zeros for what is frozen": Forgery(
        lambda: at(real(), 4, "gradients", "dense_4.kernel", np.zeros((2, 2))),
        (("no_gradient_for_frozen", 4, "dense_4.kernel", "absent", None),),
    ),
    "a frozen weight that says it is trainable": Forgery(
        flag(4, "dense_0.bias", True),
        (("trainability_survives", 4, "dense_0.bias", "flag", None),),
    ),
    "a trainable weight that says it is frozen": Forgery(
        flag(4, "dense_0.kernel", False),
        (("trainability_survives", 4, "dense_0.kernel", "flag", None),),
    ),
    "a new slot of a frozen weight": Forgery(
        slot(5, "dense_4.bias", "variance", np.zeros_like),
        (("no_gradient_for_frozen", 5, "dense_4.bias", "absent", None),),
    ),
    "a slot that moves while its weight is frozen": Forgery(
        slot(5, "dense_4.kernel", "momentum_buffer", flipped((0, 0))),
        (("no_gradient_for_frozen", 5, "dense_4.kernel", "same_bits", None),),
    ),
    "a trainable kernel that does not move": Forgery(
        unmoved("dense_5.kernel"),
        (("trainable_weights_move", 5, "dense_5.kernel", "moved", (0, 0)),),
    ),
    "a trainable kernel of which one element does not move": Forgery(
        unmoved("dense_0.kernel", (1, 2)),
        (("trainable_weights_move", 5, "dense_0.kernel", "moved", (1, 2)),),
    ),
    "a trained kernel that went too far by 1e-9 of itself": Forgery(
        weight(5, "dense_0.kernel", scaled((1, 2), 1 + 1e-9)),
        (("training_trajectory", 5, "dense_0.kernel", "within", (1, 2)),),
    ),
    "another bit under another mask": Forgery(
        gradient(4, "dense_0.kernel", flipped((0, 2))),
        (("freezing_is_transparent", 4, "dense_0.kernel", "same_bits", (0, 2)),),
    ),
    "another value under another mask": Forgery(
        gradient(4, "dense_0.kernel", scaled((0, 2), 1 + 1e-9)),
        (
            ("upstream_gradients", 4, "dense_0.kernel", "within", (0, 2)),
            ("freezing_is_transparent", 4, "dense_0.kernel", "same_bits", (0, 2)),
        ),
    ),
    "a running mean that misses a batch": Forgery(
        state_at(
            5,
            "batch_norm_1.moving_mean",
            lambda _: point_of(real().observation, 4).weights["batch_norm_1.moving_mean"],
        ),
        (("frozen_state", 5, "batch_norm_1.moving_mean", "within", (1,)),),
    ),
    "a running variance that is off by 1e-12 of itself": Forgery(
        state_at(5, "batch_norm_1.moving_variance", scaled((1,), 1 + 1e-12)),
        (("frozen_state", 5, "batch_norm_1.moving_variance", "within", (1,)),),
    ),
    "a running mean that moves in inference mode": Forgery(
        weight(7, "batch_norm_1.moving_mean", flipped((2,)), training=False),
        (
            ("frozen_state", 7, "batch_norm_1.moving_mean", "same_bits", (2,)),
            ("frozen_state", 7, "batch_norm_1.moving_mean", "within", (2,)),
        ),
    ),
    "a gradient that another backend has otherwise": Forgery(
        compared(scaled((2, 1), 1 + 1e-12)),
        (("backends_agree", 7, "dense_0.kernel", "within", (2, 1)),),
    ),
    "another loss in a second run": Forgery(
        repeated(5, other_loss),
        (("deterministic", 5, "", "repeats", None),),
    ),
    "another weight in a second run": Forgery(
        repeated(5, other_weight),
        (("deterministic", 5, "dense_0.kernel", "repeats", None),),
    ),
    "another gradient in a second run": Forgery(
        repeated(5, other_gradient),
        (("deterministic", 5, "dense_0.kernel", "repeats", None),),
    ),
    "a gradient that a second run lacks": Forgery(
        repeated(5, no_gradient),
        (("deterministic", 5, "dense_0.kernel", "repeats", None),),
    ),
    "a record that a second run lacks": Forgery(
        run_twice_with_a_record_lost,
        (("deterministic", 7, "", "repeats", None),),
    ),
}


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("evidence", [real, lambda: real(False), twice, all_frozen])
def test_what_a_framework_really_did_yields_nothing(evidence: Forge) -> None:
    assert findings(evidence()) == []


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forgery_is_found_where_it_is_by_what_it_violates_alone(what: str) -> None:
    forgery = FORGERIES[what]
    assert sorted(found(forgery.forge()), key=str) == sorted(forgery.found, key=str)


def test_every_property_has_a_forgery() -> None:
    assert {row[0] for forgery in FORGERIES.values() for row in forgery.found} == set(PROPERTIES)


@pytest.mark.parametrize("what", FORGERIES)
def test_a_finding_is_plain_json(what: str) -> None:
    for finding in findings(FORGERIES[what].forge()):
        document = finding.document()
        again = json.loads(json.dumps(document, allow_nan=False))
        assert again == document
        assert again["property"] == finding.property_


# --- what a finding says --------------------------------------------------------------------------


def test_findings_come_in_one_order_whatever_that_of_the_expectation() -> None:
    evidence = real()
    action = evidence.comparable[0][0].action
    for name, held in point_of(evidence.observation, action).gradients.items():
        if held is not None and held.any():
            evidence = at(evidence, action, "gradients", name, 2.0 * held)
    points = tuple(
        replace(point, gradients=dict(reversed([*point.gradients.items()])))
        for point in evidence.expectation.points
    )
    turned = replace(evidence, expectation=replace(evidence.expectation, points=points))
    assert len(found(evidence)) > 1
    assert found(turned) == found(evidence)


def test_a_moved_weight_is_told_with_both_numbers_and_the_point_before() -> None:
    evidence = weight(5, "dense_4.kernel", flipped((1, 0)))()
    (finding,) = findings(evidence)
    before = point_of(real().observation, 4).weights["dense_4.kernel"]
    assert finding.earlier == 4
    assert finding.expected == before[1, 0]
    assert finding.got == last_bit_flipped(before, (1, 0))[1, 0]


def test_of_several_elements_the_one_that_moved_the_most_is_told() -> None:
    evidence = weight(5, "dense_4.kernel", flipped((0, 0)))()
    evidence = since(evidence, 5, "dense_4.kernel", scaled((1, 0), 1.5))
    assert found(evidence) == [("frozen_weights", 5, "dense_4.kernel", "same_bits", (1, 0))]


def test_a_wrong_gradient_is_told_with_its_distance_in_spreads() -> None:
    evidence = gradient(7, "dense_0.kernel", scaled((2, 1), 1 + 1e-12))()
    (finding,) = findings(evidence)
    assert isinstance(finding.expected, float)
    assert isinstance(finding.got, float)
    assert finding.spreads is not None
    assert finding.allowed is not None
    assert finding.spreads > LAMBDA
    assert abs(finding.got - finding.expected) > finding.allowed > 0.0


def test_a_frozen_minus_zero_is_not_a_zero() -> None:
    evidence = real()
    zeroed = since(evidence, -1, "projection_3.mean", lambda a: with_element(a, (0,), 0.0))
    assert findings(zeroed) == []
    signed = since(zeroed, 5, "projection_3.mean", lambda a: with_element(a, (0,), -0.0))
    assert found(signed) == [("frozen_weights", 5, "projection_3.mean", "same_bits", (0,))]


def test_a_frozen_nan_keeps_its_bits() -> None:
    spoilt = since(real(), -1, "projection_3.mean", lambda a: with_element(a, (0,), np.nan))
    assert findings(spoilt) == []


@pytest.mark.parametrize("later", [5, 7])
def test_nothing_is_judged_after_an_error_that_nothing_names(later: int) -> None:
    spoilt = at(real(), later, "gradients", "dense_0.kernel", np.full((3, 3), 9.0))
    spoilt = since(spoilt, later, "dense_4.kernel", flipped((0, 0)))
    assert {row[1] for row in found(spoilt)} == {later}
    stopped = with_observation(spoilt, errors={4: Raised("ValueError", "no")})
    assert found(stopped) == [("program_runs", 4, "", "raises", None)]


@pytest.mark.parametrize("later", [5, 6, 7])
def test_of_several_errors_that_nothing_names_the_first_is_told(later: int) -> None:
    errors = {4: Raised("ValueError", "no"), later: Raised("ValueError", "no weights to move")}
    stopped = with_observation(real(), errors=errors)
    assert found(stopped) == [("program_runs", 4, "", "raises", None)]


def test_what_follows_a_named_error_is_judged() -> None:
    evidence = all_frozen()
    assert 1 in evidence.observation.errors
    kernel = gradient_of(evidence, 3, "dense_0.kernel")
    spoilt = at(evidence, 3, "gradients", "dense_0.kernel", kernel * 2)
    assert [row[:3] for row in found(spoilt)] == [("upstream_gradients", 3, "dense_0.kernel")]


def test_a_slot_from_before_the_freeze_may_stay() -> None:
    held = point_of(real().observation, 5)
    assert "momentum_buffer" in held.slots["dense_4.kernel"]
    assert not held.flags["dense_4.kernel"]
    assert findings(real()) == []


def test_backends_are_not_compared_where_their_contracts_say_different_things() -> None:
    evidence = compared(scaled((2, 1), 1 + 1e-12))()
    other = evidence.other
    assert other is not None
    points = []
    for point in other.expectation.points:
        estimates = dict(point.gradients)
        if "dense_0.kernel" in estimates:
            known = estimates["dense_0.kernel"]
            estimates["dense_0.kernel"] = Estimate(known.value * 2, known.spread)
        points.append(replace(point, gradients=estimates))
    elsewhere = replace(other, expectation=replace(other.expectation, points=tuple(points)))
    assert findings(replace(evidence, other=elsewhere)) == []


# --- the borderline -------------------------------------------------------------------------------


def estimate_of(evidence: Evidence, action: int, name: str) -> Estimate:
    point = next(p for p in evidence.expectation.points if p.action == action)
    return point.gradients[name] if name in point.gradients else point.state[name]


@st.composite
def elements(draw: st.DrawFn, role: str) -> tuple[str, tuple[int, ...]]:
    """A parameter that is not frozen at the end, and an index of it."""
    architecture = real().case.architecture
    frozen = real().expectation.points[-1].flags.frozen
    names = [n for n, p in architecture.parameters.items() if p.role == role and n not in frozen]
    name = draw(st.sampled_from(names))
    shape = architecture.parameters[name].shape
    return name, draw(st.sampled_from(list(np.ndindex(shape))))


@given(elements("weight"), st.sampled_from((-1.0, 1.0)))
def test_a_gradient_is_accepted_up_to_lambda_spreads(
    chosen: tuple[str, tuple[int, ...]], sign: float
) -> None:
    name, element = chosen
    known = estimate_of(real(), 7, name)
    given_ = gradient_of(real(), 7, name)

    def moved(spreads: float) -> Evidence:
        value = known.value[element] + sign * spreads * known.spread[element]
        return at(real(), 7, "gradients", name, with_element(given_, element, value))

    assert findings(moved(0.9 * LAMBDA)) == []
    assert found(moved(1.1 * LAMBDA)) == [("upstream_gradients", 7, name, "within", element)]


@given(elements("state"), st.sampled_from((-1.0, 1.0)))
def test_a_running_average_is_accepted_up_to_lambda_spreads(
    chosen: tuple[str, tuple[int, ...]], sign: float
) -> None:
    name, element = chosen
    known = estimate_of(real(), 5, name)

    def moved(spreads: float) -> Evidence:
        value = known.value[element] + sign * spreads * known.spread[element]
        return state_at(5, name, lambda array: with_element(array, element, value))()

    assert findings(moved(0.9 * LAMBDA)) == []
    assert found(moved(1.1 * LAMBDA)) == [("frozen_state", 5, name, "within", element)]


@pytest.mark.parametrize(("spreads", "accepted"), [(0.9, True), (1.1, False)])
def test_two_backends_may_differ_by_lambda_spreads(spreads: float, accepted: bool) -> None:
    spread = estimate_of(real(), 7, "dense_0.kernel").spread[2, 1]
    moved = compared(
        lambda array: with_element(array, (2, 1), array[2, 1] + spreads * LAMBDA * spread)
    )
    assert (findings(moved()) == []) is accepted


@pytest.mark.parametrize("value", [5e-324, -1e-300])
def test_where_arithmetic_is_exact_there_is_no_room_at_all(value: float) -> None:
    evidence = gather(torch_case((Dense(units=2), Dense(units=1)), (Gradient(0),)), "torch")
    kernel = gradient_of(evidence, 0, "dense_1.bias")
    exact = replace(
        evidence,
        expectation=replace(
            evidence.expectation,
            points=tuple(
                replace(p, gradients={"dense_1.bias": Estimate(np.zeros(1), np.zeros(1))})
                for p in evidence.expectation.points
            ),
        ),
    )
    assert findings(at(exact, 0, "gradients", "dense_1.bias", np.zeros_like(kernel))) == []
    spoilt = at(exact, 0, "gradients", "dense_1.bias", np.full_like(kernel, value))
    assert found(spoilt) == [("upstream_gradients", 0, "dense_1.bias", "within", (0,))]


@pytest.mark.parametrize(
    ("spreads", "properties"),
    [(0.9, []), (1.1, ["upstream_gradients", "freezing_is_transparent"])],
)
def test_where_kernels_depend_on_flags_the_spread_is_allowed(
    spreads: float, properties: list[str]
) -> None:
    case = torch_case(
        (Dense(units=2), Dense(units=1)),
        (Gradient(0), Freeze("dense_1"), Gradient(0)),
        inputs=(2, 3),
    )
    evidence = gather(case, "torch")
    assert findings(evidence) == []
    # Both points at the expected value, so that they are the same number of spreads apart.
    known = estimate_of(evidence, 2, "dense_0.kernel")
    evidence = at(evidence, 0, "gradients", "dense_0.kernel", known.value)
    value = known.value[1, 1] + spreads * LAMBDA * known.spread[1, 1]
    moved = with_element(known.value, (1, 1), value)
    evidence = at(evidence, 2, "gradients", "dense_0.kernel", moved)
    assert [finding.property_ for finding in findings(evidence)] == properties


@pytest.mark.parametrize(
    ("zero_grad", "properties"),
    [("set_to_none", ["freezing_is_transparent"]), ("zeros", [])],
)
def test_a_gradient_that_is_added_to_zeros_has_no_negative_zero(
    zero_grad: str, properties: list[str]
) -> None:
    """The first one is not, for there is nothing yet that could be zeros."""
    program = (Gradient(0), Freeze("dense_1"), Gradient(0))
    case = torch_case((Dense(units=2), Dense(units=1)), program)
    (batch,) = case.batches
    inputs = batch.inputs[0].copy()
    inputs[:, 1] = 0.0
    realisation = case.realisations["torch"]
    options = {**realisation.options, "zero_grad": zero_grad}
    case = replace(
        case,
        batches=(replace(batch, inputs=(frozen(inputs),)),),
        realisations={"torch": replace(realisation, options=options)},
    )
    evidence = gather(case.check(), "torch")
    for action, zero in ((0, -0.0), (2, 0.0)):
        real = gradient_of(evidence, action, "dense_0.kernel")
        assert real[1, 0] == 0.0
        signed = with_element(real, (1, 0), zero)
        evidence = at(evidence, action, "gradients", "dense_0.kernel", signed)
    assert [finding.property_ for finding in findings(evidence)] == properties


# --- malformed records ----------------------------------------------------------------------------


def test_a_frozen_weight_that_changes_its_dtype_is_found() -> None:
    doubled = weight(5, "projection_3.mean", lambda array: array.astype(np.longdouble))
    first, *others = found(doubled())  # and back again
    assert first[:3] == ("frozen_weights", 5, "projection_3.mean")
    assert {row[0] for row in others} <= {"frozen_weights"}


def test_a_gradient_that_changes_its_shape_between_two_masks_is_found() -> None:
    cut = gradient(4, "dense_0.kernel", lambda array: array[:2])
    assert ("upstream_gradients", 4, "dense_0.kernel", "present", None) in found(cut())


def test_an_untouched_copy_yields_nothing() -> None:
    assert findings(with_points(real(), lambda point: replace(point))) == []
