"""Cases go through JSON unchanged, and nothing wrong in a file gets further than one line."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import simple_case

from invariants.architecture.graph import Architecture, Block, Node
from invariants.architecture.layers.dense import Dense
from invariants.architecture.layers.normalization import BatchNorm
from invariants.backends import BACKENDS
from invariants.case import Case, CaseError, from_json, frozen
from invariants.generate.cases import cases
from invariants.program import Gradient

DOCUMENT = simple_case().document
TEXT = json.dumps(DOCUMENT)


@given(cases())
def test_a_case_survives_json(case: Case) -> None:
    again = from_json(case.to_json())
    assert again == case
    assert again.to_json() == case.to_json()


@given(cases())
def test_a_drawn_case_is_valid_by_construction(case: Case) -> None:
    assert case.check() is case


def broken(path: tuple[Any, ...], value: Any) -> str:
    document = copy.deepcopy(DOCUMENT)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


KERNEL = ("weights", "dense_0.kernel", "values")


def normalised(samples: int) -> str:
    """A batch norm of vectors, trained on a number of samples."""
    case = simple_case()
    block = Block(members=(BatchNorm(), Dense()), nodes=(Node(0, (0,)), Node(1, (1,))))
    architecture = Architecture(case.architecture.inputs, block)
    batch = case.batches[0].first(samples)
    weights = {n: frozen(np.ones(p.shape)) for n, p in architecture.parameters.items()}
    realisation = replace(case.realisations["torch"], ways=(None,))
    changed = replace(
        case,
        architecture=architecture,
        weights=weights,
        batches=(batch,),
        program=(Gradient(0),),
        realisations={"torch": realisation},
    )
    return changed.to_json()


def test_a_batch_norm_trains_on_two_samples() -> None:
    assert from_json(normalised(2)).training


BAD: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("{", "not JSON"),
    "no object": ("[]", "no JSON object"),
    "another schema": (broken(("schema",), 99), "schema"),
    "a schema that is no whole number": (broken(("schema",), 2.0), "schema"),
    "another encoding": (TEXT.encode("utf-16"), "not text in UTF-8"),
    "a field twice": (TEXT.replace("{", '{"dtype": "float64",', 1), "'dtype' stands twice"),
    "a tap of a value that is not there": (
        broken(("architecture", "taps"), [99]),
        "taps: value 99",
    ),
    "a program without a gradient": (
        broken(("program",), DOCUMENT["program"][:1]),
        "has no gradient and no step",
    ),
    "a missing field": (broken(("dtype",), None), "dtype"),
    "a step without an optimizer": (
        broken(("optimizer",), None),
        r"optimizer: program\[2\] is a step, and the case has no optimizer",
    ),
    "an unknown field": (broken(("extra",), 1), "extra"),
    "an unknown layer": (
        broken(("architecture", "network", "members", 0, "kind"), "lstm?"),
        r"unknown kind 'lstm\?'",
    ),
    "a layer whose name breaks the line": (
        broken(("architecture", "network", "members", 0, "kind"), "x\ny"),
        "unknown kind",
    ),
    "an endless shape": (broken((*KERNEL[:2], "shape"), [10**30, 1]), "whole numbers up to"),
    "an endless shape of nothing": (
        broken(KERNEL[:2], {"shape": [0, 10**30], "values": []}),
        "whole numbers up to",
    ),
    "a byte order mark": ("\ufeff{}", "byte order mark"),
    "a deep nest": ("[" * 400 + "]" * 400, "no JSON object"),
    "one sample for a batch norm": (normalised(1), "needs at least 2 samples"),
    "shapes that do not fit": (broken((*KERNEL[:2], "shape"), [2, 2]), "values do not fill"),
    "a NaN weight": (broken((*KERNEL, 0), float("nan")), "NaN"),
    "a weight that float32 cannot hold": (broken((*KERNEL, 0), 0.1), "cannot hold"),
    "a weight of nobody": (
        broken(("weights", "import os"), {"shape": [1], "values": [1.0]}),
        "no parameter",
    ),
    "a target that is no name": (
        broken(("program", 0, "target"), "dense_0; import os"),
        "no weight, layer or submodule",
    ),
    "a batch that is not there": (broken(("program", 1, "batch"), 5), "no batch 5"),
    "an unknown way": (broken(("realisations", "torch", "ways", 0), "eval('1')"), "here goes by"),
    "an unknown mode": (broken(("realisations", "torch", "mode"), "x"), "unknown mode"),
    "an unknown backend": (
        broken(("realisations", "jax"), DOCUMENT["realisations"]["torch"]),
        "unknown backend",
    ),
    "a huge layer": (broken(("architecture", "network", "members", 0, "units"), 10**9), "units"),
    "an unknown schedule": (
        broken(("schedule",), {"kind": "one_cycle"}),
        "schedule: unknown kind 'one_cycle'",
    ),
    "a negative decay": (
        broken(("schedule",), {"kind": "exponential", "decay": -0.5}),
        "schedule.exponential.decay: should be greater than 0",
    ),
    "milestones that are not sorted": (
        broken(("schedule",), {"kind": "multi_step", "milestones": [3, 1]}),
        r"schedule.multi_step.milestones: \[3, 1\] do not increase",
    ),
    "a schedule of no steps": (
        broken(("schedule",), {"kind": "cosine", "steps": 0}),
        "schedule.cosine.steps: should be greater than or equal to 1",
    ),
    "a decay of an average beyond 1": (
        broken(("average",), {"decay": 1.5}),
        "average.decay: should be less than or equal to 1",
    ),
    "a decay of an average below 0": (
        broken(("average",), {"decay": -0.5}),
        "average.decay: should be greater than or equal to 0",
    ),
    "an average that a backend lacks": (
        broken(("average",), {"kind": "equal"}),
        "realisations: tensorflow: average: tensorflow has no equal average",
    ),
    "weights overwritten where that cannot be": (
        broken(("average",), {"overwrite": 2}),
        "realisations: torch: average: torch overwrites no weights",
    ),
    "a rule of padding that there is not": (
        broken(("architecture", "network", "members", 0), {"kind": "conv2d", "padding": "full"}),
        "conv2d.padding: should be 'valid' or 'same', or should be a valid array",
    ),
    "a network of nothing": (
        broken(("architecture", "network", "members"), []),
        "network.members: should have at least 1 item, not 0",
    ),
    "a text for a number": (
        broken(("optimizer", "learning_rate"), "__import__('os')"),
        "learning_rate",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line_that_names_it(what: str) -> None:
    text, words = BAD[what]
    with pytest.raises(CaseError, match=words) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


ENDLESS = "x" * 5000

#: What a file holds that is endless.
LONG: dict[str, str] = {
    "a target": broken(("program", 0, "target"), ENDLESS),
    "a shape": broken((*KERNEL[:2], "shape"), [1] * 5000),
    "a shape that its values fill": broken(
        KERNEL[:2], {"shape": [1] * 60 + [6], "values": [1.0] * 6}
    ),
    "a weight": broken(("weights", ENDLESS), {"shape": [1], "values": [1.0]}),
    "a mode": broken(("realisations", "torch", "mode"), ENDLESS),
    "a device": broken(("realisations", "torch", "device"), ENDLESS),
    "a backend": broken(("realisations", ENDLESS), DOCUMENT["realisations"]["torch"]),
    "an option": broken(("realisations", "torch", "options", ENDLESS), "x"),
    "a value of an option": broken(("realisations", "torch", "options", "zero_grad"), ENDLESS),
    "a group": broken(("groups", ENDLESS), 0.5),
    "a penalised weight": broken(("penalties", ENDLESS), {"kind": "l2", "factor": 0.5}),
    "a schema": broken(("schema",), ENDLESS),
    "a kind of layer": broken(("architecture", "network", "members", 0, "kind"), ENDLESS),
    "a field": broken((ENDLESS,), 1),
    "a field twice": f'{{"{ENDLESS}": 1, "{ENDLESS}": 2}}',
    "a number of a batch": broken(("program", 1, "batch"), 10**4000),
    "a number of an output": broken(("objective", 0, "output"), 10**4000),
    "a number of inputs": broken(("architecture", "network", "arity"), 10**4000),
    "a number of a member": broken(("architecture", "network", "nodes", 0, "member"), 10**4000),
    "a number of a tap": broken(("architecture", "taps"), [10**4000]),
    "milestones": broken(("schedule",), {"kind": "multi_step", "milestones": [1] * 5000}),
}


@pytest.mark.parametrize("what", LONG)
def test_a_message_repeats_no_more_than_the_beginning_of_what_is_long(what: str) -> None:
    with pytest.raises(CaseError) as caught:
        from_json(LONG[what])
    message = str(caught.value)
    assert len(message) < 400
    assert "…" in message or what == "milestones"


def test_half_of_a_surrogate_pair_is_named_with_its_place() -> None:
    with pytest.raises(CaseError, match=r"^program\[0\]\.target: holds half of a surrogate pair$"):
        from_json(broken(("program", 0, "target"), "dense_\ud800"))
    with pytest.raises(CaseError, match=r"^weights\.\\udc00: holds half of a surrogate pair$"):
        from_json(broken(("weights", "\udc00"), 1))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"action": "evaluate", "batch": 0, "training": False}, "an evaluate here goes by"),
        ({"action": "thaw", "target": "dense_0"}, "a thaw here goes by"),
        ({"action": "gradient", "batch": 0}, "a gradient has no way$"),
    ],
)
def test_a_way_that_there_is_not_is_told_in_good_english(action: object, words: str) -> None:
    document = json.loads(TEXT)
    document["program"].append(action)
    for realisation in document["realisations"].values():
        realisation["ways"].append("luck")
    with pytest.raises(CaseError, match=words):
        from_json(json.dumps(document))


INJECTION = "__import__('os').system('touch /tmp/injected')"


def leaves(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(document, dict):
        return [p for k, v in document.items() for p in leaves(v, (*path, k))]
    if isinstance(document, list):
        return [p for k, v in enumerate(document) for p in leaves(v, (*path, k))]
    return [path]


def test_an_old_file_has_no_schedule_and_no_average() -> None:
    document = {k: v for k, v in DOCUMENT.items() if k not in ("schedule", "average")}
    assert len(document) == len(DOCUMENT) - 2
    assert from_json(json.dumps(document)) == simple_case()


@given(st.sampled_from(leaves(DOCUMENT)))
def test_no_text_of_a_file_reaches_a_rendered_source(path: tuple[Any, ...]) -> None:
    try:
        case = from_json(broken(path, INJECTION))
    except CaseError:
        return
    assert all(INJECTION not in BACKENDS[name].render(case) for name in case.realisations)
