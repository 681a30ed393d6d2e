"""Cases go through JSON unchanged, and nothing wrong in a file gets further than one line."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import simple_case

from invariants.backends import BACKENDS
from invariants.case import Case, CaseError, from_json
from invariants.generate.cases import cases

DOCUMENT = simple_case().document


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

BAD: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "not JSON"),
    "no object": ("[]", "no JSON object"),
    "another schema": (broken(("schema",), 99), "schema"),
    "a missing field": (broken(("dtype",), None), "dtype"),
    "an unknown field": (broken(("extra",), 1), "extra"),
    "an unknown layer": (broken(("architecture", "network", "members", 0, "kind"), "x"), "kind"),
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
    "an unknown way": (broken(("realisations", "torch", "ways", 0), "eval('1')"), "is frozen by"),
    "an unknown mode": (broken(("realisations", "torch", "mode"), "x"), "unknown mode"),
    "an unknown backend": (
        broken(("realisations", "jax"), DOCUMENT["realisations"]["torch"]),
        "unknown backend",
    ),
    "a huge layer": (broken(("architecture", "network", "members", 0, "units"), 10**9), "units"),
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


INJECTION = "__import__('os').system('touch /tmp/injected')"


def leaves(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(document, dict):
        return [p for k, v in document.items() for p in leaves(v, (*path, k))]
    if isinstance(document, list):
        return [p for k, v in enumerate(document) for p in leaves(v, (*path, k))]
    return [path]


@given(st.sampled_from(leaves(DOCUMENT)))
def test_no_text_of_a_file_reaches_a_rendered_source(path: tuple[Any, ...]) -> None:
    try:
        case = from_json(broken(path, INJECTION))
    except CaseError:
        return
    assert all(INJECTION not in BACKENDS[name].render(case) for name in case.realisations)
