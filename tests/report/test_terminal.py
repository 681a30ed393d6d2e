"""What a run says at its end of the layers that it met, and of how many cases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from invariants.architecture.layers import LAYERS
from invariants.oracle.contract import CONTRACTS
from invariants.report.terminal import closing, coverage, hazards, known, missed
from invariants.suite.tally import Tally, places

KINDS = [kind for kind in LAYERS if kind not in CONTRACTS["torch"].lacks]


def everywhere() -> Counter[str]:
    return Counter(f"{kind}:{place}" for kind in KINDS for place in places(kind))


def said(*parts: object) -> str:
    console = Console(record=True, width=300)
    for part in parts:
        console.print(part)
    return console.export_text()


def test_a_run_that_met_every_layer_everywhere_misses_none() -> None:
    line = f"torch: {len(KINDS)} kinds of layers"
    assert missed({"torch": Tally(reach=everywhere())}) == [line]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("dense:frozen", "never frozen: dense"),
        ("dense:trainable", "never trainable: dense"),
        ("relu:upstream", "never upstream of a frozen layer: relu"),
        ("relu:downstream", "never downstream of one: relu"),
    ],
)
def test_what_was_not_met_is_named_with_its_place(place: str, words: str) -> None:
    reach = everywhere()
    del reach[place]
    (line,) = missed({"torch": Tally(reach=reach)})
    assert line.endswith(f"; {words}")


def test_an_embedding_is_not_missed_where_it_cannot_be() -> None:
    (line,) = missed({"torch": Tally()})
    _, _, downstream = line.partition("never downstream of one: ")
    assert "embedding" not in downstream.split(", ")
    assert "embedding" in line.partition("; never downstream")[0].split(", ")


def test_a_layer_that_is_lacking_in_one_dtype_stays_among_the_others_and_is_named_with_it() -> None:
    told = ("gru is not offered in float16: RuntimeError: no kernel", "celu is not offered: none")
    told += ("dense is not offered with no_such: TypeError: unexpected", "lstm is not offered in x")
    reach = Counter({key: n for key, n in everywhere().items() if not key.startswith("celu:")})
    (line,) = missed({"torch": Tally(reach=reach, unsupported=Counter(told))})
    assert line == (
        f"torch: {len(KINDS) - 1} kinds of layers; "
        "not in float16: gru; not in x: lstm; not with no_such: dense"
    )


def test_the_table_has_a_dash_where_a_layer_cannot_be() -> None:
    text = said(*coverage({"torch": Tally(reach=Counter({"embedding:frozen": 3}))}))
    rows = {
        row.split("│")[1].strip(): row.split("│")[2:6] for row in text.splitlines() if "│" in row
    }
    assert [cell.strip() for cell in rows["embedding"]] == ["3", "", "", "–"]
    assert [cell.strip() for cell in rows["relu"]] == ["–", "–", "", ""]
    assert "masked_lstm" not in rows  # which torch lacks


def test_every_option_is_counted_with_each_of_its_values() -> None:
    text = said(*coverage({"torch": Tally(made_of=Counter({"conv2d.padding: same": 1200}))}))
    assert "conv2d.padding" in text
    assert "same (1,200)" in text


def test_an_issue_is_told_with_the_script_that_shows_it() -> None:
    tallies = {"torch": Tally(known=Counter({"torch-muon-epsilon": 1}))}
    shown = known(tallies)[-1].removeprefix("  shown by: ")
    assert Path(shown).name == "torch-muon-epsilon.py"
    assert Path(shown).is_file()
    tallies = {"torch": Tally(known=Counter({"torch-bfloat16-kernel-gradient": 1}))}
    assert known(tallies)[-1].startswith("  instead: ")


@pytest.mark.parametrize(("count", "words"), [(1, "1 case"), (2, "2 cases"), (1000, "1,000 cases")])
def test_one_case_is_no_cases(count: int, words: str) -> None:
    tallies = {"torch": Tally(cases=count, known=Counter({"torch-muon-epsilon": count}))}
    assert known(tallies)[0].startswith(f"known issue torch-muon-epsilon ({words}): ")
    tallies = {"torch": Tally(cases=count, hazards=Counter({"zeros-move-frozen": count}))}
    assert hazards(tallies)[0].startswith(f"hazard zeros-move-frozen ({words}): ")
    assert f"no violation in {words} (" in said(*closing(tallies, 1.0))
    tallies = {"torch": Tally(cases=count, unsupported=Counter({"a layer": count}))}
    assert f": a layer ({words})" in said(*closing(tallies, 1.0))


def test_an_issue_that_was_looked_for_in_vain_is_named_unless_others_met_it() -> None:
    unmet = Counter({"torch-muon-epsilon": 120})
    (line,) = known({"torch": Tally(unmet=unmet)})
    assert line == "known issue torch-muon-epsilon was looked for in 120 cases and not met"
    met = Tally(unmet=unmet, known=Counter({"torch-muon-epsilon": 1}))
    assert "not met" not in " ".join(known({"torch": met}))
