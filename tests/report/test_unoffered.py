"""docs/layers.md says which options a framework lacks."""

from __future__ import annotations

from pathlib import Path

from invariants.report.unoffered import HEADING, section

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


def test_the_section_is_up_to_date() -> None:
    _, heading, said = PAGE.read_text("utf-8").partition(HEADING)
    assert heading + said == section(), "python -m invariants.report.unoffered"
