"""Every kind of layer that a backend has stands in a case that is as small as can be."""

from __future__ import annotations

import pytest

from invariants.architecture.kinds import follows_others
from invariants.architecture.layers import LAYERS
from invariants.generate.smallest import smallest_case
from invariants.judge import judge
from invariants.oracle.contract import CONTRACTS

KINDS = [(name, kind) for name, c in CONTRACTS.items() for kind in LAYERS if kind not in c.lacks]


@pytest.mark.parametrize(("backend", "kind"), KINDS)
def test_it_holds_the_layer_behind_weights(backend: str, kind: str) -> None:
    architecture = smallest_case(kind, backend, "float32").architecture
    *before, (path, last) = [(placed.path, placed.layer.kind) for placed in architecture.layers]
    assert last == kind
    assert {kind for _, kind in before} <= {"dense", "reshape"}
    assert bool(before) == follows_others(kind)
    assert architecture.weights, path


@pytest.mark.parametrize("kind", ["conv3d", "embedding", "add", "lstm"])
def test_it_runs_and_is_judged(kind: str) -> None:
    pytest.importorskip("torch")
    verdict = judge(smallest_case(kind, "torch", "bfloat16"), "torch")
    assert verdict.findings == ()
    assert verdict.measures.elements > 0
