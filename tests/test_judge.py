"""From findings to a verdict, to an exception that a test can tell from others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from forging import (
    at,
    chain,
    gradient_of,
    last_bit_flipped,
    real,
    since,
    torch_case,
    with_observation,
)

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.normalization import Dropout, LayerNorm
from invariants.case import Batch, Case, Realisation, frozen
from invariants.finding import Severity
from invariants.judge import VIOLATED, InvariantViolated, check, gather, judge, measure, raise_for
from invariants.ledger import KnownIssue
from invariants.objective import LossName, Term
from invariants.optimizer import AdamW
from invariants.oracle.contract import CONTRACTS
from invariants.oracle.interpreter import expect
from invariants.oracle.rounding import LAMBDA
from invariants.program import Cast, Gradient, Step
from invariants.properties import PROPERTIES, findings
from invariants.properties.evidence import Evidence

# The package has a function of the same name, which `from invariants import` may give instead.
judging = import_module("invariants.judge")


def observed_as(monkeypatch: pytest.MonkeyPatch, evidence: Evidence) -> None:
    """From here on every run gives the observation of `evidence`."""
    monkeypatch.setattr(judging, "observe", lambda case, backend, place: evidence.observation)


def moved_frozen() -> Evidence:
    return since(real(), 5, "dense_4.kernel", lambda array: last_bit_flipped(array, (1, 0)))


def off_by(spreads: float, name: str = "dense_5.bias") -> Evidence:
    """The gradient of `name` at the last action that many spreads from the chain rule's."""
    known = real().expectation.points[-1].gradients[name]
    return at(real(), 7, "gradients", name, known.value + spreads * known.spread)


def wrong_gradient(evidence: Evidence) -> Evidence:
    kernel = gradient_of(evidence, 5, "dense_5.kernel")
    return at(evidence, 5, "gradients", "dense_5.kernel", kernel * 2)


def test_a_case_without_findings_gives_its_verdict() -> None:
    verdict = check(real().case, "torch")
    assert verdict.findings == ()
    assert verdict.evidence.case is real().case
    raise_for(verdict)


def test_a_violation_raises_the_exception_of_its_property(monkeypatch: pytest.MonkeyPatch) -> None:
    observed_as(monkeypatch, moved_frozen())
    with pytest.raises(VIOLATED["frozen_weights"]) as caught:
        check(real().case, "torch")
    assert isinstance(caught.value, InvariantViolated)
    assert isinstance(caught.value, AssertionError)
    (finding,) = caught.value.verdict.violations
    text = str(caught.value)
    assert finding.message in text
    assert "torch, action 5" in text
    assert f"expected {finding.expected}, got {finding.got}" in text


def test_of_several_properties_the_first_is_raised_and_all_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed_as(monkeypatch, wrong_gradient(moved_frozen()))
    with pytest.raises(VIOLATED["frozen_weights"]) as caught:
        check(real().case, "torch")
    lines = str(caught.value).partition("\n\n")[0].splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "frozen_weights",
        "upstream_gradients",
        "freezing_is_transparent",
    ]
    assert "spreads apart" in lines[1]
    assert "spreads apart" not in lines[0]


def test_every_property_has_an_exception_of_its_own() -> None:
    assert list(VIOLATED) == list(PROPERTIES)
    names = {violated.__name__ for violated in VIOLATED.values()}
    assert len(names) == len(PROPERTIES)
    assert VIOLATED["frozen_weights"].__name__ == "FrozenWeightsViolated"
    assert not any(
        issubclass(a, b) for a in VIOLATED.values() for b in VIOLATED.values() if a is not b
    )


@pytest.mark.parametrize("severity", ["known issue", "hazard"])
def test_only_a_violation_raises(monkeypatch: pytest.MonkeyPatch, severity: Severity) -> None:
    observed_as(monkeypatch, moved_frozen())
    verdict = judge(real().case, "torch")
    softened = tuple(replace(finding, severity=severity) for finding in verdict.findings)
    assert verdict.violations
    raise_for(replace(verdict, findings=softened))


# --- measures -------------------------------------------------------------------------------------


def test_measures_count_the_gradients_that_were_judged_and_their_elements() -> None:
    judged = [
        estimate.value
        for point in real().expectation.points
        for estimate in point.gradients.values()
    ]
    measures = measure(real())
    assert measures.gradients == len(judged)
    assert measures.elements == sum(value.size for value in judged)


def test_a_gradient_that_is_missing_is_not_counted() -> None:
    less = measure(at(real(), 7, "gradients", "dense_0.kernel", None))
    assert less.gradients == measure(real()).gradients - 1
    assert less.elements == measure(real()).elements - 9


def test_the_largest_error_is_measured_in_spreads() -> None:
    assert measure(real()).largest < 6
    assert 11.5 < measure(off_by(12.0)).largest < 12.5


def test_an_element_whose_spread_swallows_it_is_uninformative() -> None:
    *before, last = real().expectation.points
    known = last.gradients["dense_0.kernel"]
    wide = known.spread.copy()
    wide[0, 0] = abs(known.value[0, 0]) / LAMBDA * 1.01
    wider = replace(
        last, gradients={**last.gradients, "dense_0.kernel": replace(known, spread=wide)}
    )
    expectation = replace(real().expectation, points=(*before, wider))
    assert (
        measure(replace(real(), expectation=expectation)).uninformative
        == measure(real()).uninformative + 1
    )


# --- known issues ---------------------------------------------------------------------------------

ISSUE = KnownIssue(
    id="an-issue",
    backend="torch",
    versions={},
    properties=tuple(PROPERTIES),
    as_if={"batch_norm_running_variance": "biased"},
    title="",
    reason="",
    reference="",
    instead="",
)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch observed with biased running variances, and an issue that says so."""
    biased = expect(real().case, "torch", CONTRACTS["torch"].as_if(ISSUE.as_if))
    evidence = real()
    for point in biased.points:
        variance = point.state["batch_norm_1.moving_variance"].value
        evidence = at(evidence, point.action, "weights", "batch_norm_1.moving_variance", variance)
    observed_as(monkeypatch, evidence)
    monkeypatch.setattr(judging.ledger, "applying", lambda backend, installed: (ISSUE,))


@pytest.mark.usefixtures("known")
def test_what_the_ledger_explains_is_a_finding_and_no_violation() -> None:
    verdict = check(real().case, "torch")
    assert {f.property_ for f in verdict.findings} == {"frozen_state"}
    assert {f.issue for f in verdict.findings} == {"an-issue"}
    assert verdict.violations == ()


@pytest.mark.usefixtures("known")
def test_known_issues_may_be_ignored_and_then_are_violations() -> None:
    verdict = judge(real().case, "torch", ignore_known_issues=True)
    assert verdict.violations == verdict.findings != ()
    with pytest.raises(VIOLATED["frozen_state"]):
        check(real().case, "torch", ignore_known_issues=True)


# --- more than one run ----------------------------------------------------------------------------


def test_a_second_run_is_made_only_where_determinism_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = iter((real().observation, moved_frozen().observation))
    monkeypatch.setattr(judging, "observe", lambda case, backend, place: next(runs))
    assert judge(real().case, "torch").findings == ()
    runs = iter((real().observation, moved_frozen().observation))
    found = judge(real().case, "torch", repeat=True).findings
    assert {f.property_ for f in found} == {"deterministic"}


def test_another_backend_is_compared_where_its_evidence_is_given() -> None:
    assert judge(real().case, "torch", other=real()).findings == ()
    found = judge(real().case, "torch", other=off_by(2 * LAMBDA)).findings
    assert [(f.property_, f.subject) for f in found] == [("backends_agree", "dense_5.bias")]


def diverging(loss: LossName) -> Case:
    """Two steps in float16 that take a scale out of its range, then a gradient."""
    program = (Step(0), Step(0), Gradient(0))
    layers = Block(members=(LayerNorm(),), nodes=(Node(0, (0,)),))
    x, y = np.array([[-0.5, 0.5], [0.5, -1.0], [-0.5, -1.0]]), np.array([[0, 0], [1, 0], [0, 1]])
    return Case(
        architecture=Architecture((Spec((2,)),), layers),
        weights={
            "layer_norm_0.gamma": frozen(np.ones(2)),
            "layer_norm_0.beta": frozen(np.full(2, -0.5)),
        },
        batches=(Batch((frozen(x),), (frozen(y.astype(float)),), (None,)),),
        program=program,
        optimizer=AdamW(learning_rate=0.0078125),
        objective=(Term(loss=loss),),
        dtype="float16",
        training=False,
        input_gradient=False,
        seed=0,
        realisations={"torch": Realisation("eager", (None,) * 3, {"optimizer_loop": "for-loop"})},
    ).check()


def test_who_refuses_nan_where_training_left_the_range_of_the_dtype_breaks_nothing() -> None:
    verdict = judge(diverging("binary_likelihood"), "torch")
    error = verdict.evidence.observation.errors[2]
    assert error.kind == "RuntimeError"
    assert "between 0 and 1" in error.message
    assert verdict.findings == ()


def test_who_refuses_nan_where_nobody_knows_what_random_layers_drew_breaks_nothing() -> None:
    """Per sample, dropout shows no draws, so that no number is expected, and none ruled out."""
    case = diverging("binary_likelihood")
    error = judge(case, "torch").evidence.observation.errors[2]
    random = replace(
        case,
        architecture=Architecture(case.architecture.inputs, chain(LayerNorm(), Dropout(rate=0.25))),
        training=True,
        realisations={"torch": replace(case.realisations["torch"], mode="per_sample")},
    )
    evidence = with_observation(gather(random.check(), "torch"), errors={2: error})
    assert not findings(evidence)
    other = with_observation(evidence, errors={2: replace(error, message="out of memory")})
    assert [f.property_ for f in findings(other)] == ["program_runs"]


def test_a_layer_that_a_release_lacks_is_unsupported_and_no_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    case = torch_case([LayerNorm()], [Gradient(0)])
    assert not judge(case, "torch").findings
    monkeypatch.delattr(torch.nn, "LayerNorm")
    (finding,) = judge(case, "torch").findings
    assert finding.severity == "unsupported"
    assert finding.got == "AttributeError: module 'torch.nn' has no attribute 'LayerNorm'"
    check(case, "torch")


def test_an_option_that_a_release_lacks_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    case = torch_case([LayerNorm()], [Gradient(0)])
    monkeypatch.setattr(torch.nn, "LayerNorm", lambda size: torch.nn.Identity())
    (finding,) = judge(case, "torch").findings
    assert finding.severity == "unsupported"
    assert finding.message == "layer_norm is not offered with eps"
    assert "unexpected keyword argument" in str(finding.got)


def test_a_kernel_that_is_missing_in_16_bits_is_named_with_the_dtype(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the dtype of the action: that of a cast behind which it is met, not that of the case."""
    torch = pytest.importorskip("torch")
    forward = torch.nn.LayerNorm.forward

    def without_half(self: Any, x: Any) -> Any:
        if x.dtype == torch.float16:
            raise RuntimeError("\"LayerNormKernelImpl\" not implemented for 'Half'")
        return forward(self, x)

    monkeypatch.setattr(torch.nn.LayerNorm, "forward", without_half)
    case = torch_case([LayerNorm()], [Gradient(0), Cast("float16"), Gradient(0)])
    (finding,) = judge(case, "torch").findings
    assert (finding.severity, finding.action) == ("unsupported", 2)
    assert finding.message == "layer_norm is not offered in float16"


def keras_case() -> Case:
    """A layer norm and a gradient through it on TensorFlow."""
    options = {"optimizer_build": "ahead", "optimizer_call": "apply"}
    realisation = Realisation("tape", (None,), options)
    case = torch_case((LayerNorm(),), (Gradient(0),))
    return replace(case, realisations={"tensorflow": realisation}).check()


@pytest.mark.parametrize(
    "call",
    [
        lambda torch, x: torch.nn.functional.no_such_kernel(x),
        lambda torch, x: torch.relu(x, no_such_option=True),
    ],
)
def test_a_layer_that_fails_for_a_name_of_its_own_is_a_violation(
    call: Callable[[Any, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the script itself does not name is not what a release lacks."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.nn.LayerNorm, "forward", lambda self, x: call(torch, x))
    (finding,) = judge(torch_case([LayerNorm()], [Gradient(0)]), "torch").violations
    assert "no_such" in str(finding.got)


def test_a_constructor_that_lacks_what_it_calls_itself_is_a_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")

    class Broken(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(no_such_option=True)

    monkeypatch.setattr(torch.nn, "LayerNorm", Broken)
    (finding,) = judge(torch_case([LayerNorm()], [Gradient(0)]), "torch").violations
    assert "no_such_option" in str(finding.got)


def test_a_layer_that_keras_lacks_is_named_and_one_that_fails_inside_is_a_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keras = pytest.importorskip("keras")
    case = keras_case()
    with monkeypatch.context() as patch:
        patch.delattr(keras.layers, "LayerNormalization")
        (finding,) = judge(case, "tensorflow").findings
        assert finding.severity == "unsupported"
        assert finding.message == "layer_norm is not offered"
    monkeypatch.setattr(
        keras.layers.LayerNormalization, "call", lambda self, x: keras.ops.no_such_kernel(x)
    )
    (finding,) = judge(case, "tensorflow").violations
    assert "no_such_kernel" in str(finding.got)
