"""Which way a gradient takes: back from the losses, along every edge that some weight hangs on.

An edge carries one where what comes into it depends on a trainable weight (or an input whose
gradient is asked for), and what it leads to reaches a loss. So it goes on through frozen layers,
and ends above the first trainable one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from invariants.case import Case
from invariants.freezing import Flags
from invariants.report.picture import Flow


@dataclass(frozen=True)
class Carried:
    """What of a flow carries a gradient.

    edges: for each call its edges, in the order of its inputs. inside: for each call what its body
    carries. results: of the values that leave the flow.
    """

    edges: tuple[tuple[bool, ...], ...]
    inside: tuple[Carried | None, ...]
    results: frozenset[int]


def carried(case: Case, flags: Flags, flow: Flow) -> Carried:
    """What the whole network of a case carries under `flags`."""
    inputs = [case.input_gradient and spec.vocabulary is None for spec in flow.inputs]
    outputs = [case.architecture.output_values[term.output] for term in case.objective]
    return _within(flow, flags, inputs, frozenset(outputs))


def _within(flow: Flow, flags: Flags, inputs: Sequence[bool], wanted: Set[int]) -> Carried:
    """inputs: which of them depend on a weight. wanted: the values that reach a loss."""
    depends = [*inputs, *_depending(flow, flags, inputs)]
    reaching = {*wanted}
    first = len(flow.inputs)
    for number, call in reversed([*enumerate(flow.calls, start=first)]):
        if number in reaching:
            reaching.update(call.inputs)
    edges: list[tuple[bool, ...]] = []
    inside: list[Carried | None] = []
    for number, call in enumerate(flow.calls, start=first):
        reaches = number in reaching
        edges.append(tuple(reaches and depends[value] for value in call.inputs))
        body = call.body
        if body is None:
            inside.append(None)
            continue
        last = len(body.inputs) + len(body.calls) - 1
        given = [depends[value] for value in call.inputs]
        inside.append(_within(body, flags, given, {last} if reaches else set()))
    return Carried(tuple(edges), tuple(inside), frozenset(v for v in wanted if depends[v]))


def _depending(flow: Flow, flags: Flags, inputs: Sequence[bool]) -> Iterator[bool]:
    """Whether the result of each call depends on a trainable weight or on such an input."""
    depends = [*inputs]
    for call in flow.calls:
        weights = flags.architecture.weights_in(call.path)
        trained = any(weight not in flags.frozen for weight in weights)
        depends.append(trained or any(depends[value] for value in call.inputs))
        yield depends[-1]
