"""A mode that this machine has not what it needs for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests_support import simple_case

from invariants.backends.needs import missing_modes
from invariants.case import Realisation
from invariants.cli import main
from invariants.report.terminal import header, modes
from invariants.suite.session import OptionError, Options
from invariants.suite.tally import Tally


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")


def options(*modes: str) -> Options:
    return Options.checked(["torch"], "ci", None, 0, None, False, modes)


@pytest.mark.usefixtures("no_compiler")
def test_what_needs_a_compiler_is_named_with_its_reason() -> None:
    assert set(missing_modes("torch")) == {"inductor"}
    said = "no inductor: it needs a C++ compiler, and there is no no-such-compiler here"
    assert any(said in line for line in header(options()))
    tally = Tally(cases=2)
    tally.modes["eager"] = 2
    (line,) = modes({"torch": tally})
    assert line.startswith("torch: 2 eager; none in ")
    assert "inductor (it needs a C++ compiler" in line


@pytest.mark.usefixtures("no_compiler")
def test_the_rest_runs() -> None:
    planned = {plan.mode for plan in options().plans()}
    assert "inductor" not in planned
    assert "compiled" in planned
    assert {plan.mode for plan in options("inductor", "compiled").plans()} == {"compiled"}


@pytest.mark.usefixtures("no_compiler")
def test_asked_for_alone_it_is_an_error() -> None:
    with pytest.raises(OptionError, match="the mode 'inductor' cannot run: it needs a C"):
        options("inductor")


@pytest.mark.usefixtures("no_compiler")
def test_a_saved_case_in_such_a_mode_is_not_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = simple_case()
    realisation = case.realisations["torch"]
    other = Realisation("inductor", realisation.ways, realisation.options)
    file = tmp_path / "case.json"
    file.write_text(replace(case, realisations={"torch": other}).to_json())
    monkeypatch.setattr("sys.argv", ["invariants", "replay", str(file)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "the mode 'inductor' cannot run" in capsys.readouterr().err


def test_a_compiler_that_is_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert missing_modes("torch") == {}
