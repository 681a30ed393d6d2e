"""docs/layers.md works as it stands: its code makes a layer that runs and is judged."""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests_support import simple_case

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.base import Layer
from invariants.architecture.layers.dense import Dense
from invariants.backends import BACKENDS
from invariants.case import Case, frozen
from invariants.judge import judge
from invariants.program import Freeze, Gradient, Step

#: backend -> the name of its row on the page, and how the case freezes.
ROWS = {"torch": ("ROW", "requires_grad_"), "tensorflow": ("KERAS_ROW", "layer_trainable")}

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the code on the page defines."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    names = vars(module)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for block in blocks:
        exec(textwrap.dedent(block), names)
    assert len(blocks) == 1 + len(ROWS)
    return names


def scaled(layer: Layer, backend: str) -> Case:
    """dense, the layer frozen, dense: a gradient and a step."""
    case = simple_case()
    members: Any = (Dense(units=2), layer, Dense(units=1))
    block = Block(members=members, nodes=(Node(0, (0,)), Node(1, (1,)), Node(2, (2,))))
    architecture = Architecture(case.architecture.inputs, block)
    rng = np.random.default_rng(3)
    _, way = ROWS[backend]
    realisation = replace(case.realisations[backend], ways=(way, None, None))
    return replace(
        case,
        architecture=architecture,
        weights={
            name: frozen(rng.integers(1, 64, size=p.shape) / 64)
            for name, p in architecture.parameters.items()
        },
        program=(Freeze("scale_1"), Gradient(0), Step(0)),
        realisations={backend: realisation},
    )


@pytest.mark.parametrize("backend", ROWS)
def test_the_layer_of_the_page_is_judged(
    backend: str, page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(backend)
    row, _ = ROWS[backend]
    monkeypatch.setitem(BACKENDS[backend].LOWERINGS, "scale", page[row])
    verdict = judge(scaled(page["Scale"](), backend), backend)
    assert verdict.findings == ()
    assert verdict.measures.elements > 0


@pytest.mark.parametrize(
    ("backend", "detached"),
    [("torch", "self.alpha.detach()"), ("tensorflow", "keras.ops.stop_gradient(self.alpha)")],
)
def test_a_row_that_computes_something_else_is_noticed(
    backend: str, detached: str, page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(backend)
    row = page[ROWS[backend][0]]
    wrong = row.definition.replace("x * self.alpha", f"x * {detached} ** 2")
    monkeypatch.setitem(BACKENDS[backend].LOWERINGS, "scale", replace(row, definition=wrong))
    case = scaled(page["Scale"](), backend)
    found = {finding.property_ for finding in judge(case, backend).violations}
    assert "upstream_gradients" in found
