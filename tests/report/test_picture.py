"""The picture and the program in text."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.activations import Relu
from invariants.architecture.layers.base import Spec
from invariants.architecture.layers.dense import Dense, Projection
from invariants.architecture.layers.shaping import Add
from invariants.average import Average
from invariants.case import Batch, Case, Realisation, frozen
from invariants.freezing import Flags
from invariants.generate.cases import cases
from invariants.objective import Term
from invariants.optimizer import SGD
from invariants.program import Freeze, Gradient, Step
from invariants.report import picture
from invariants.schedule import Exponential, MultiStep

drawn = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@lru_cache(maxsize=1)
def tower() -> Case:
    """A skip over a submodule that is called twice, its projection constant."""
    inner = Block(
        members=(Dense(units=3), Projection(components=3)),
        nodes=(Node(0, (0,)), Node(1, (1,))),
    )
    network = Block(
        members=(inner, Relu(), Add(), Dense(units=1)),
        nodes=(Node(0, (0,)), Node(1, (1,)), Node(0, (2,)), Node(2, (1, 3)), Node(3, (4,))),
    )
    architecture = Architecture((Spec((3,)),), network)
    case = Case(
        architecture=architecture,
        weights={n: frozen(np.full(p.shape, 0.5)) for n, p in architecture.parameters.items()},
        batches=(Batch((frozen(np.ones((2, 3))),), (frozen(np.ones((2, 1))),), (None,)),),
        program=(Freeze("block_0.dense_0.bias"), Gradient(0), Freeze(""), Step(0)),
        optimizer=SGD(),
        objective=(Term(),),
        dtype="float64",
        training=True,
        input_gradient=False,
        seed=0,
        realisations={
            "torch": Realisation(
                "eager",
                ("tensor_attribute", None, "requires_grad_", None),
                {"optimizer_loop": "foreach"},
            )
        },
    )
    return case.check()


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Case, Flags, str]:
    """A case, the flags at some point of its program, something to point at."""
    case = draw(cases())
    backend = draw(st.sampled_from(sorted(case.realisations)))
    flags = draw(st.sampled_from(case.flags(backend)))
    targets = [*case.architecture.parameters, *case.architecture.paths, "input_0", "nothing"]
    return case, flags, draw(st.sampled_from(targets))


def lines_about(text: str, path: str) -> list[str]:
    return [line for line in text.splitlines() if path in line.replace(",", " ").split()]


def test_the_whole_picture_of_a_small_network() -> None:
    case = tower()
    text = picture.text(case, case.flags("torch")[0], "block_0.dense_0.bias")
    assert text + "\n" == TOWER


def test_the_whole_program_of_a_small_network() -> None:
    assert picture.program(tower(), "torch", 2) + "\n" == PROGRAM


@drawn
@given(scenes())
def test_a_picture_shows_every_module_and_fits_a_terminal(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    text = picture.text(case, flags, highlight)
    for path in case.architecture.paths[1:]:
        assert lines_about(text, path), f"{path} is missing:\n{text}"
    assert max(map(len, text.splitlines())) <= 100
    assert all(line == line.rstrip() for line in text.splitlines())


@drawn
@given(scenes())
def test_as_many_weights_are_marked_as_are_frozen(scene: tuple[Case, Flags, str]) -> None:
    case, flags, _ = scene
    text = picture.text(case, flags)
    rows = [re.split("  +", line) for line in text.splitlines()]
    own = {name.rpartition(".")[2] for name in case.architecture.weights}
    marked = [row for row in rows if row[-1] == "❄ frozen" and row[-3] in own]
    assert len(marked) == len(flags.frozen)
    constants = [p for p in case.architecture.parameters.values() if p.role == "constant"]
    assert sum(row[-1] == "constant" for row in rows) == len(constants)


@drawn
@given(scenes())
def test_one_arrow_points_at_what_is_highlighted(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    calls = {placed.path: placed.calls for placed in case.architecture.layers}
    once = {*case.architecture.parameters, "input_0"}
    arrows = [line for line in picture.text(case, flags, highlight).splitlines() if "◀" in line]
    if highlight in once:
        assert len(arrows) == 1
        assert highlight.rpartition(".")[2] in arrows[0]
    elif highlight in case.architecture.paths[1:]:
        assert len(arrows) >= calls.get(highlight, 1)
        assert all(highlight in line for line in arrows)
    else:
        assert not arrows


@drawn
@given(scenes())
def test_ascii_is_ascii_and_says_the_same(scene: tuple[Case, Flags, str]) -> None:
    case, flags, highlight = scene
    text = picture.text(case, flags, highlight)
    plain = picture.text(case, flags, highlight, ascii=True)
    assert plain.isascii()
    assert len(plain.splitlines()) == len(text.splitlines())
    assert plain.count("* frozen") >= text.count("❄ frozen")
    assert all(path in plain for path in case.architecture.paths)


#: How the line of an action begins that is not told by its name.
BEGINNINGS = {
    "set_mode": "go on in ",
    "set_rate": "go on with ",
    "compile": "make a new optimizer",
    "reload": "save and load",
}


@drawn
@given(cases(), st.data())
def test_a_program_has_a_line_for_each_action(case: Case, data: st.DataObject) -> None:
    backend = data.draw(st.sampled_from([None, *case.realisations]))
    mark = data.draw(st.sampled_from([None, *range(-1, len(case.program))]))
    lines = picture.program(case, backend, mark).splitlines()
    numbered = [line for line in lines if re.match(r"[▶ ] +\d+  \w", line)]
    assert len(numbered) == len(case.program)
    for number, (line, action) in enumerate(zip(numbered, case.program, strict=True)):
        assert f"{number}  {BEGINNINGS.get(action.action, action.action)}" in line
        assert line.startswith("▶") == line.endswith("◀") == (number == mark)
    assert lines[0].startswith("▶") == (mark == -1)
    assert picture.program(case, backend, mark, ascii=True).isascii()


def test_a_backend_without_a_realisation_is_named() -> None:
    with pytest.raises(ValueError, match="realisations for torch, not for 'jax'"):
        picture.program(tower(), "jax", None)


def test_a_thousand_layers_make_a_picture() -> None:
    chain = Block(
        members=(*(Relu() for _ in range(1000)), Dense(units=1)),
        nodes=tuple(Node(n, (n,)) for n in range(1001)),
    )
    architecture = Architecture((Spec((3,)),), chain)
    case = replace(tower(), architecture=architecture)
    text = picture.text(case, Flags.initial(architecture))
    assert len(text.splitlines()) == 1007


TOWER = """\
●    input_0                            (3,)
│    ╭ block_0                          (3,)      from input_0 · ❄ partly frozen
◧    │ block_0.dense_0                  (3,)      from input_0 · ❄ partly frozen
│    │   kernel                           (3, 3)
│    │   bias                             (3,)    ❄ frozen  ◀
▨    │ block_0.projection_1             (3,)      from block_0.dense_0 · constant
│    │   components                       (3, 3)  constant
│    │   mean                             (3,)    constant
│    ╰
├─╮
│ ○  relu_1                             (3,)      from block_0
│ │  ╭ block_0 (2nd call)               (3,)      from relu_1 · ❄ partly frozen
│ ◧  │ block_0.dense_0 (2nd call)       (3,)      from relu_1 · ❄ partly frozen
│ ▨  │ block_0.projection_1 (2nd call)  (3,)      from block_0.dense_0 (2nd call) · constant
│ │  ╰
├─╯
○    add_2                              (3,)      from block_0, block_0 (2nd call)
■    dense_3                            (1,)      from add_2
│      kernel                             (3, 1)
│      bias                               (1,)
▼    loss                               ()        mean squared error of dense_3

● input   ■ trainable   ◧ partly frozen   ▨ constant   ○ no weights   ▼ loss
"""

PROGRAM = """\
     torch, eager, float64, training mode
     minimises mean squared error by SGD (learning rate 0.125)
  0  freeze block_0.dense_0.bias  [tensor_attribute]  1 of 4 frozen
  1  gradient of batch 0
▶ 2  freeze the whole network     [requires_grad_]    4 of 4 frozen  ◀
  3  step on batch 0
"""


def test_the_program_tells_schedule_and_average() -> None:
    scheduled = replace(tower(), schedule=MultiStep(milestones=(2, 3), decay=0.5))
    assert "multi step schedule (decay 0.5, milestones 2, 3)" in _unwrapped(scheduled)
    stairs = replace(tower(), schedule=Exponential(steps=2, stairs=True))
    assert "exponential schedule (decay 0.5, steps 2, stairs)" in _unwrapped(stairs)
    averaged = replace(tower(), average=Average(decay=0.75, overwrite=2))
    said = "exponential (0.75) averages of weights, which they become after every 2 steps"
    assert said in _unwrapped(averaged)
    assert "exponential averages" in repr(averaged)


def _unwrapped(case: Case) -> str:
    return " ".join(picture.program(case).split())
