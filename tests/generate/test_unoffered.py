"""What a backend lacks of what another one has is known, whoever draws it."""

from __future__ import annotations

from random import Random

import pytest

from invariants.architecture.kinds import taken
from invariants.architecture.layers import LAYERS
from invariants.case import unsupported
from invariants.generate.choice import Drawn
from invariants.generate.unoffered import unoffered
from invariants.oracle.contract import CONTRACTS

BACKENDS = [("torch", "tensorflow"), ("tensorflow", "torch")]


@pytest.mark.parametrize(("backend", "other"), BACKENDS)
def test_it_is_just_what_is_refused_of_other_layers_with_its_reason(
    backend: str, other: str
) -> None:
    contract = CONTRACTS[backend]
    choice = Drawn(lambda strategy: Random(7), (CONTRACTS[other],))
    refused = set()
    for kind in LAYERS.keys() - contract.lacks.keys() - CONTRACTS[other].lacks.keys():
        for specs in taken(kind) * 60:
            layer = LAYERS[kind].draw(choice, specs)
            lacked = {(p, v) for p, v in layer.needs().items() if v not in contract[p]}
            refused |= {(point, value, kind) for point, value in lacked}
            reason = unsupported(layer, contract)
            assert bool(reason) == bool(lacked)
            assert not lacked or any(reason.endswith(f": {contract.said(p)}") for p, _ in lacked)
    told = {
        (lack.point, value) for lack in unoffered(backend) if lack.kinds for value in lack.values
    }
    assert told == {(point, value) for point, value, _ in refused}
    kinds = {(lack.point, kind) for lack in unoffered(backend) for kind in lack.kinds}
    assert kinds == {(point, kind) for point, _, kind in refused}


@pytest.mark.parametrize(("backend", "other"), BACKENDS)
def test_what_programs_lack_another_backend_has(backend: str, other: str) -> None:
    lacked = [lack for lack in unoffered(backend) if not lack.kinds]
    assert {"optimizers"} < {lack.point for lack in lacked}
    for lack in lacked:
        assert lack.said == CONTRACTS[backend].clauses[lack.point].sentence
        has = CONTRACTS[other][lack.point]
        assert {*lack.values} <= {*has} if isinstance(has, tuple) else (bool(has),) == lack.values
