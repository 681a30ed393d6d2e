"""Where a run has no terminal, it says now and then how far it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from invariants.suite.plugin import SILENCE, Controller
from invariants.suite.session import Options
from invariants.suite.tally import Tally


def controller(face: bool) -> Controller:
    config: Any = SimpleNamespace(
        option=SimpleNamespace(invariants_face=face),
        _invariants_options=Options.checked(["torch"], "quick", 1500, 1, None, False),
    )
    return Controller(config)


@pytest.mark.parametrize("face", [True, False])
def test_a_long_run_says_how_far_it_is_once_in_a_while(
    face: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = controller(face)
    counted = {"backend": "torch", "counted": Tally(cases=600, violated=2).document()}
    run._take(counted)
    assert capsys.readouterr().out == "", "not at once"
    run.told -= SILENCE
    run._take(counted)
    run._take(counted)
    total = run._total()
    said = capsys.readouterr().out
    assert said.startswith(f"1,200 of {total:,} cases, 4 violations, ") if face else said == ""
    assert said.count("\n") == face, "and then not before that time has passed again"
