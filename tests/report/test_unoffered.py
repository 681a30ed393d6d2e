"""docs/layers.md says which options a framework lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from invariants import backends
from invariants.report.unoffered import HEADING, section

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


def test_the_section_is_up_to_date() -> None:
    _, heading, said = PAGE.read_text("utf-8").partition(HEADING)
    assert heading + said == section(), "python -m invariants.report.unoffered"


SCRIPTS = "\n".join(
    file.read_text("utf-8")
    for name in ("torch", "tensorflow")
    for file in sorted((Path(backends.__file__).parent / name).rglob("*.py"))
)


@pytest.mark.parametrize(
    ("what", "written", "times"),
    [
        ("fit` over several epochs", "epochs=", 0),
        ("callbacks, such as", "callbacks=", 0),
        ("and `pickle` of a model", "pickle.", 0),
        ("`add_param_group` by itself", "add_param_group(", 1),  # where a group is split in two
        ("training or inference mode of one layer", ".eval()", 2),  # of model and averaged
        ("`load_weights` into a new model", "load_weights(", 1),
        ("none |", ".zero_grad(", 2),  # before a backward pass, and in what two optimizers are
    ],
)
def test_what_the_page_says_that_no_case_does_no_script_does(
    what: str, written: str, times: int
) -> None:
    assert what in PAGE.read_text("utf-8")
    assert SCRIPTS.count(written) == times
