"""The plot of the coverage: well-formed, a row for each kind, empty cells for what was not met."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest

from invariants.architecture.layers import LAYERS
from invariants.oracle.contract import CONTRACTS
from invariants.report.coverage import plot
from invariants.suite.tally import Tally, places

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("backend", CONTRACTS)
def test_every_kind_that_the_backend_has_gets_a_row(backend: str) -> None:
    drawn = ElementTree.fromstring(plot(backend, Tally(cases=1)))
    words = [text.text for text in drawn.iter(f"{SVG}text")]
    assert set(LAYERS) - set(CONTRACTS[backend].lacks) <= set(words)
    assert not set(CONTRACTS[backend].lacks) & set(words)


def test_a_place_that_was_met_shows_its_number_and_the_others_are_empty() -> None:
    tally = Tally(cases=1234, reach=Counter({"dense:frozen": 1234, "relu:upstream": 1}))
    drawn = ElementTree.fromstring(plot("torch", tally))
    words = [text.text for text in drawn.iter(f"{SVG}text")]
    assert words.count("1,234") == 1
    assert words.count("1") == 1
    kinds = set(LAYERS) - set(CONTRACTS["torch"].lacks)
    empty = [box for box in drawn.iter(f"{SVG}rect") if box.get("class") == "none"]
    assert len(empty) == sum(len(places(kind)) for kind in kinds) - 2
